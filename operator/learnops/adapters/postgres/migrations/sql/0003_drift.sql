-- One counter row per doer whose active policy is watched for drift since its promotion. Runs outside
-- rollouts take no number when they are drawn; these take one when they are stored, under this row's
-- lock, so that the numbers have no gap and rise in the order of commits. `watch` names the
-- promotion, `since_revision` is the traffic revision that made the policy active.
-- `state` is the detector's, after the runs up to `watermark`.
CREATE TABLE drift_watches (
    namespace      text   NOT NULL,
    doer           text   NOT NULL,
    watch          text   NOT NULL,
    policy         text   NOT NULL,
    since_revision bigint NOT NULL,
    next_seq       bigint NOT NULL DEFAULT 1,
    watermark      bigint NOT NULL DEFAULT 0,
    state          text,
    PRIMARY KEY (namespace, doer)
) WITH (fillfactor = 50);

-- The order in which the runs of a watch are read.
CREATE TABLE drift_runs (
    namespace text             NOT NULL,
    doer      text             NOT NULL,
    watch     text             NOT NULL,
    seq       bigint           NOT NULL,
    run_id    text             NOT NULL,
    loss      double precision NOT NULL CHECK (loss BETWEEN 0 AND 1),
    PRIMARY KEY (namespace, doer, watch, seq)
);
COMMENT ON TABLE drift_runs IS
    'the losses of an active policy since its promotion, in the order in which they were stored';

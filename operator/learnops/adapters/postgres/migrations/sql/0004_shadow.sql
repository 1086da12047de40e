-- Pairs of a shadow stage: the candidate runs a second time on what a run of control was given.
-- `next_pair` numbers them under the row's lock, as next_seq does registrations: without a gap, and
-- in the order of commits.
ALTER TABLE shadow_deployments ADD COLUMN next_pair bigint NOT NULL DEFAULT 1;

-- A row is written before the candidate runs. `reported_loss` is what it told; `candidate_loss` and
-- `control_loss` are the evidence, frozen at once when the pair is resolved: 1 for a side that
-- told nothing in time, whatever it tells later. Apart from `runs`, so that it is never traffic.
CREATE TABLE shadow_pairs (
    rollout        text             NOT NULL REFERENCES shadow_deployments (id),
    seq            bigint           NOT NULL,
    namespace      text             NOT NULL,
    doer           text             NOT NULL,
    run_id         text             NOT NULL,
    registered_at  timestamptz      NOT NULL DEFAULT clock_timestamp(),
    reported_loss  double precision CHECK (reported_loss BETWEEN 0 AND 1),
    breakdown      jsonb,
    content_hash   bytea,
    resolved_at    timestamptz,
    candidate_loss double precision CHECK (candidate_loss BETWEEN 0 AND 1),
    control_loss   double precision CHECK (control_loss BETWEEN 0 AND 1),
    PRIMARY KEY (rollout, seq),
    CONSTRAINT shadow_pairs_run UNIQUE (namespace, run_id),
    CONSTRAINT resolved_whole CHECK ((resolved_at IS NULL) = (candidate_loss IS NULL)
                                     AND (resolved_at IS NULL) = (control_loss IS NULL)),
    CONSTRAINT told_whole CHECK ((reported_loss IS NULL) = (content_hash IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX shadow_pairs_open ON shadow_pairs (rollout, seq) WHERE resolved_at IS NULL;

-- What is known of the quality of a run's work: from its bundle, and what came later (CI, thumbs, a
-- merged pull request). For reward and datasets, never for the evidence: nothing here is referred to
-- by, or refers to, a table of the evidence. A signal may come before its run's bundle, so that there
-- is no foreign key either. `id` rises in the order of arrival within a run: every signal of a run is
-- written under the lock of its row in run_rewards.
CREATE TABLE signals (
    id          bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace   text             NOT NULL,
    run_id      text             NOT NULL,
    doer        text             NOT NULL,
    origin      text             NOT NULL CHECK (origin IN ('Bundle', 'Later')),
    name        text             NOT NULL,
    value       double precision NOT NULL CHECK (value BETWEEN 0 AND 1),
    source      text             NOT NULL DEFAULT '',
    note        text             NOT NULL DEFAULT '',
    key         text,
    observed_at timestamptz,
    received_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT signals_key UNIQUE (namespace, run_id, key),
    CONSTRAINT signals_later_has_key CHECK ((origin = 'Later') = (key IS NOT NULL))
);
COMMENT ON COLUMN signals.value IS '0 to 1; false is 0 and true is 1';
COMMENT ON COLUMN signals.observed_at IS
    'when it was seen, as its sender says; never trusted for order';

-- The reward of each run that has signals, by the doer's weights when the last of them came.
CREATE TABLE run_rewards (
    namespace   text        NOT NULL,
    run_id      text        NOT NULL,
    doer        text        NOT NULL,
    reward      double precision CHECK (reward BETWEEN 0 AND 1),
    weights     jsonb       NOT NULL DEFAULT '{}',
    breakdown   jsonb       NOT NULL DEFAULT '{"terms": [], "missing": []}',
    partial     boolean     NOT NULL DEFAULT true,
    rewarded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, run_id)
) WITH (fillfactor = 80);
CREATE INDEX run_rewards_by_doer ON run_rewards (doer, namespace, reward) WHERE reward IS NOT NULL;
COMMENT ON COLUMN run_rewards.reward IS '0 to 1, 1 the best; null: no signal that has a weight';

-- What datasets are made of: reported runs with what they came to.
CREATE VIEW v_run_rewards AS
SELECT r.namespace, r.run_id, r.doer, r.policy, r.arm, r.tenant, r.received_at, c.loss,
       w.reward, w.partial, w.weights, w.breakdown, w.rewarded_at
FROM runs r
JOIN crl_results c ON c.namespace = r.namespace AND c.run_id = r.run_id
LEFT JOIN run_rewards w ON w.namespace = r.namespace AND w.run_id = r.run_id;

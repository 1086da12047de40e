-- Each run is tagged with the comparison that it was a part of: its rollout. Generated, so that
-- there is no second copy that could differ.
ALTER TABLE runs
    ADD COLUMN experiment_id text GENERATED ALWAYS AS (rollout) STORED,
    ALTER COLUMN bundle DROP NOT NULL;
CREATE INDEX runs_by_experiment ON runs (experiment_id, received_at)
    WHERE experiment_id IS NOT NULL;
COMMENT ON COLUMN runs.bundle IS 'what the agent reported, redacted; null once expired or erased';

-- What agents reported, by parts. A view: the bundle is stored once, with its run.
CREATE VIEW learning_bundles AS
SELECT namespace, run_id, doer, policy, experiment_id, tenant,
       coalesce(bundle -> 'artifacts', '[]') AS artifacts,
       coalesce(bundle -> 'metrics', '{}') AS metrics,
       coalesce(bundle -> 'gates', '[]') AS gates,
       coalesce(bundle -> 'qav', '{}') AS qav,
       coalesce(bundle -> 'costs', '{}') AS costs,
       received_at
FROM runs WHERE bundle IS NOT NULL;

-- Why a policy moved, in one word; empty for moves up and for those from before this column.
ALTER TABLE policy_promotions ADD COLUMN reason text NOT NULL DEFAULT '';

-- A candidate is a policy of its own: with several in a rollout each is compared by itself.
DROP VIEW v_policy_performance;
CREATE VIEW v_policy_performance AS
SELECT d.namespace, d.doer, c.policy AS candidate_policy_id, d.control_policy_id,
       avg(t.loss) FILTER (WHERE t.arm = 'candidate') AS candidate_avg_loss,
       avg(t.loss) FILTER (WHERE t.arm = 'control') AS control_avg_loss
FROM shadow_deployments d
JOIN rollout_candidates c ON c.rollout = d.id AND c.generation = 1
LEFT JOIN deployment_routings t
       ON t.rollout = d.id AND t.resolution IN ('Bundle', 'Timeout')
      AND (t.arm = 'control' OR t.policy = c.policy)
GROUP BY d.namespace, d.doer, c.policy, d.control_policy_id;

-- How far each comparison is. `traffic_split` is the candidates' share in percent, 0 once it ended.
-- Runs that were withdrawn are in no arm.
CREATE VIEW v_rollout_progress AS
SELECT d.id AS experiment_id, d.namespace, d.doer, d.canary,
       coalesce(d.outcome, initcap(d.mode)) AS status,
       d.allocation_pct AS traffic_split,
       d.next_pair - 1 AS shadow_run_count,
       n.baseline AS baseline_run_count,
       n.candidate AS candidate_run_count,
       d.started_at, d.ended_at
FROM shadow_deployments d CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE arm = 'control') AS baseline,
           count(*) FILTER (WHERE arm = 'candidate') AS candidate
    FROM deployment_routings
    WHERE rollout = d.id AND resolution IS DISTINCT FROM 'Void'
) n;

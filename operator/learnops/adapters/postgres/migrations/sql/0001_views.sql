-- For people. Nothing is decided on these: pooled means lie while a share rises.
CREATE VIEW v_crl_trend_by_doer AS
SELECT r.namespace, r.doer, (r.received_at AT TIME ZONE 'UTC')::date AS date,
       avg(c.loss) AS avg_loss, count(*) AS run_count
FROM runs r
JOIN crl_results c ON c.namespace = r.namespace AND c.run_id = r.run_id
GROUP BY r.namespace, r.doer, (r.received_at AT TIME ZONE 'UTC')::date;

CREATE VIEW v_policy_performance AS
SELECT d.namespace, d.doer, d.candidate_policy_id, d.control_policy_id,
       avg(t.loss) FILTER (WHERE t.arm = 'candidate') AS candidate_avg_loss,
       avg(t.loss) FILTER (WHERE t.arm = 'control') AS control_avg_loss
FROM shadow_deployments d
LEFT JOIN deployment_routings t ON t.rollout = d.id AND t.resolution IN ('Bundle', 'Timeout')
GROUP BY d.namespace, d.doer, d.candidate_policy_id, d.control_policy_id;

ALTER TABLE policy_promotions ADD COLUMN culprit text NOT NULL DEFAULT '';
COMMENT ON COLUMN policy_promotions.culprit IS
    'what told most against the policy: "loss", or the guardrail''s term or name; empty unless worse';

-- Of rows that are there only the sentence knows. It is read this once, and no row says anything
-- else than before: that is what the trigger is for.
ALTER TABLE policy_promotions DISABLE TRIGGER trigger_promotions_append_only;
UPDATE policy_promotions p SET culprit = CASE
        WHEN starts_with(s.rest, ' is worse in ') THEN split_part(s.rest, ' ', 5)
        WHEN starts_with(s.rest, ' breached guardrail ') THEN split_part(s.rest, ' ', 4)
        ELSE 'loss' END
FROM (
    SELECT id, substr(why, length(policy_id) + 1) AS rest
    FROM policy_promotions WHERE rollout <> '' AND starts_with(why, policy_id)
) s
WHERE p.id = s.id AND p.to_stage IN ('Rejected', 'Archived')
  AND (s.rest ~ '^ is worse( in |:| on the same input:)' OR starts_with(s.rest, ' breached guardrail '));
ALTER TABLE policy_promotions ENABLE TRIGGER trigger_promotions_append_only;

-- As in 0009; why a candidate was rejected is read from what the decision left, and not from words.
CREATE OR REPLACE FUNCTION daily_figures(since date) RETURNS SETOF daily_rollups
LANGUAGE sql STABLE AS $$
    SELECT namespace, doer, (at AT TIME ZONE 'UTC')::date,
           count(*) FILTER (WHERE what = 'run'),
           coalesce(sum(loss), 0),
           count(*) FILTER (WHERE what = 'rollout run'),
           count(*) FILTER (WHERE what = 'pair'),
           count(*) FILTER (WHERE what = 'automatic'),
           count(*) FILTER (WHERE what = 'manual'),
           count(*) FILTER (WHERE what = 'worse'),
           count(*) FILTER (WHERE what = 'guardrail')
    FROM (
        SELECT d.namespace, d.doer, 'run' AS what, p."timestamp" AS at, p.crl_value AS loss
        FROM scored_doers() d JOIN learning_progress p
          ON p.namespace = d.namespace AND p.doer = d.doer
         AND p."timestamp" >= since::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        SELECT d.namespace, d.doer, 'rollout run', r.received_at, NULL
        FROM shadow_deployments d JOIN runs r ON r.experiment_id = d.id
        WHERE r.received_at >= since::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        SELECT d.namespace, d.doer, 'pair', p.registered_at, NULL
        FROM shadow_deployments d JOIN shadow_pairs p ON p.rollout = d.id
        WHERE p.registered_at >= since::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        SELECT p.namespace, p.doer, m.what, p.recorded_at, NULL
        FROM policy_promotions p CROSS JOIN LATERAL (VALUES
            (CASE WHEN p.promoted_by = 'operator' THEN 'automatic' ELSE 'manual' END,
             p.to_stage = 'Active' AND p.rollout <> ''),
            -- A policy from the archive goes back there: the culprit tells that it was worse. A row
            -- that was written again after a restore may know none, and counts all the same.
            ('worse', p.culprit <> '' OR (p.to_stage = 'Rejected' AND p.reason <> 'Futile')),
            ('guardrail', p.culprit NOT IN ('', 'loss'))
        ) m (what, is_so)
        WHERE m.is_so AND p.recorded_at >= since::timestamp AT TIME ZONE 'UTC'
    ) told (namespace, doer, what, at, loss)
    GROUP BY 1, 2, 3
$$;

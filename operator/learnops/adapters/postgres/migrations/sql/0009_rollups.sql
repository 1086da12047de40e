-- A row per doer and day that is over, so that figures outlive the rows that they were made of and
-- cost nothing at a million runs. `v_daily_rollup` adds the days since from the log itself, so that
-- it is right whether or not anybody has refreshed the rollup.
CREATE TABLE daily_rollups (
    namespace            text    NOT NULL,
    doer                 text    NOT NULL,
    date                 date    NOT NULL,
    runs                 bigint  NOT NULL,
    loss_sum             double precision NOT NULL,
    rollout_runs         bigint  NOT NULL,
    shadow_runs          bigint  NOT NULL,
    automatic_promotions bigint  NOT NULL,
    manual_promotions    bigint  NOT NULL,
    regressions          bigint  NOT NULL,
    guardrail_hits       bigint  NOT NULL,
    PRIMARY KEY (namespace, doer, date)
);

-- One row: days before it are in daily_rollups, later ones are not.
CREATE TABLE rollup_state (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    open_from date   NOT NULL
);
INSERT INTO rollup_state (open_from) VALUES ('-infinity');

-- Every (namespace, doer) that has losses, by one look at the index each.
CREATE FUNCTION scored_doers() RETURNS TABLE (namespace text, doer text)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE known AS (
        (SELECT p.namespace, p.doer FROM learning_progress p ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT n.namespace, n.doer FROM known k CROSS JOIN LATERAL (
            SELECT p.namespace, p.doer FROM learning_progress p
            WHERE (p.namespace, p.doer) > (k.namespace, k.doer) ORDER BY 1, 2 LIMIT 1
        ) n
    )
    SELECT * FROM known
$$;

-- The figures of all days from `since` on. Every time here is the database's own, written in the
-- transaction that stores the row: a run that is reported late counts on the day it arrived, so a
-- day that is over by more than a transaction's longest time does not change any more.
CREATE FUNCTION daily_figures(since date) RETURNS SETOF daily_rollups
LANGUAGE sql STABLE AS $$
    SELECT namespace, doer, (at AT TIME ZONE 'UTC')::date,
           count(*) FILTER (WHERE what = 'run'),
           coalesce(sum(loss), 0),
           count(*) FILTER (WHERE what = 'rollout run'),
           count(*) FILTER (WHERE what = 'pair'),
           count(*) FILTER (WHERE what = 'automatic'),
           count(*) FILTER (WHERE what = 'manual'),
           count(*) FILTER (WHERE what = 'rejected'),
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
        SELECT namespace, doer,
               CASE WHEN promoted_by = 'operator' THEN 'automatic' ELSE 'manual' END,
               recorded_at, NULL
        FROM policy_promotions
        WHERE to_stage = 'Active' AND rollout <> ''
          AND recorded_at >= since::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        SELECT namespace, doer, 'rejected', recorded_at, NULL
        FROM policy_promotions
        WHERE to_stage = 'Rejected' AND reason <> 'Futile'
          AND recorded_at >= since::timestamp AT TIME ZONE 'UTC'
        UNION ALL
        -- Breached outright, or the term in which a candidate was shown worse.
        SELECT namespace, doer, 'guardrail', recorded_at, NULL
        FROM policy_promotions
        WHERE to_stage = 'Rejected'
          AND (reason = 'GuardrailBreached' OR why LIKE policy_id || ' is worse in %')
          AND recorded_at >= since::timestamp AT TIME ZONE 'UTC'
    ) told (namespace, doer, what, at, loss)
    GROUP BY 1, 2, 3
$$;

-- Close the days that are over; returns the first one that is not. Two at once queue up.
CREATE FUNCTION close_days() RETURNS date LANGUAGE plpgsql AS $$
DECLARE
    first_open date;
    today date := ((now() - interval '1 hour') AT TIME ZONE 'UTC')::date;
BEGIN
    SELECT open_from INTO first_open FROM rollup_state FOR UPDATE;
    IF first_open < today THEN
        INSERT INTO daily_rollups SELECT * FROM daily_figures(first_open) WHERE date < today;
        UPDATE rollup_state SET open_from = today;
    END IF;
    RETURN greatest(first_open, today);
END $$;

CREATE VIEW v_daily_rollup AS
SELECT namespace, doer, date, runs, loss_sum / nullif(runs, 0) AS avg_loss,
       rollout_runs, rollout_runs::double precision / nullif(runs, 0) AS ab_coverage,
       shadow_runs, automatic_promotions, manual_promotions, regressions, guardrail_hits
FROM (
    SELECT * FROM daily_rollups
    UNION ALL
    SELECT f.* FROM daily_figures((SELECT open_from FROM rollup_state)) f
) day;

-- Over the rollup, so that the trend outlives its runs.
DROP VIEW v_crl_trend_by_doer;
CREATE VIEW v_crl_trend_by_doer AS
SELECT namespace, doer, date, avg_loss, runs AS run_count FROM v_daily_rollup WHERE runs > 0;

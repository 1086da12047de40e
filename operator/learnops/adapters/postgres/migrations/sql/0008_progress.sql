-- The plan of a trigger is kept for as long as the connection lives. As a join of tables it was made
-- while they were empty, with a scan of all runs, and each batch then read the whole log. Below a
-- LIMIT it is one look-up by key a run, whatever was known of the tables when it was planned.
CREATE OR REPLACE FUNCTION record_crl_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learning_progress (namespace, doer, "timestamp", crl_value, policy_version)
    SELECT n.namespace, r.doer, n.created_at, n.loss, coalesce(p.version, r.policy)
    FROM fresh n
    CROSS JOIN LATERAL (
        SELECT doer, policy FROM runs
        WHERE namespace = n.namespace AND run_id = n.run_id LIMIT 1
    ) r
    LEFT JOIN LATERAL (
        SELECT version FROM policies WHERE namespace = n.namespace AND id = r.policy LIMIT 1
    ) p ON true;
    RETURN NULL;
END $$;

-- The same for the check of the foreign key from crl_results. Of a table that was empty, an index
-- that begins with the namespace looked as good as the key, and each check read the whole log. The
-- namespace is asked for with the doer always, so it may come second.
DROP INDEX runs_by_doer;
CREATE INDEX runs_by_doer ON runs (doer, namespace, received_at);

-- And for that of the foreign key from unit_runs, which asks for a rollout and a number.
ALTER TABLE deployment_routings
    DROP CONSTRAINT deployment_routings_unit,
    ADD CONSTRAINT deployment_routings_unit UNIQUE (unit_id, rollout);

-- Units whose window is over, without a look at all that are open.
CREATE INDEX deployment_routings_windows ON deployment_routings (rollout, window_ends_at)
    WHERE resolved_at IS NULL AND window_ends_at IS NOT NULL;

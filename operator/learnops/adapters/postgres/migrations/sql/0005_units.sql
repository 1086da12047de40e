-- What a rollout draws arms for, as it was when it was opened.
ALTER TABLE shadow_deployments
    ADD COLUMN unit text NOT NULL DEFAULT 'Run' CHECK (unit IN ('Run', 'Session', 'TenantEpoch')),
    ADD COLUMN epoch_seconds integer CHECK (epoch_seconds >= 1),
    ADD CONSTRAINT epoch_with_its_unit CHECK ((unit = 'TenantEpoch') = (epoch_seconds IS NOT NULL));

-- Where the unit is no run, a row is a unit with the id of its first run. It is resolved when its
-- window is over and all of its runs are resolved: `loss` is the mean of theirs then, `timed_out`
-- the part of them that timed out. Runs that begin later are in no table but `runs`.
ALTER TABLE deployment_routings
    ADD COLUMN window_ends_at timestamptz,
    ADD COLUMN timed_out double precision CHECK (timed_out BETWEEN 0 AND 1);

CREATE TABLE unit_runs (
    namespace     text        NOT NULL,
    run_id        text        NOT NULL,
    rollout       text        NOT NULL,
    seq           bigint      NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at   timestamptz,
    resolution    text        CHECK (resolution IN ('Bundle', 'Timeout', 'Void')),
    loss          double precision CHECK (loss BETWEEN 0 AND 1),
    PRIMARY KEY (namespace, run_id),
    FOREIGN KEY (rollout, seq) REFERENCES deployment_routings (rollout, seq),
    CONSTRAINT unit_run_resolved_whole CHECK ((resolved_at IS NULL) = (resolution IS NULL)),
    CONSTRAINT unit_run_loss_where_resolved
        CHECK ((loss IS NULL) = (resolution IS NULL OR resolution = 'Void'))
) WITH (fillfactor = 80);
CREATE INDEX unit_runs_of_unit ON unit_runs (rollout, seq);
CREATE INDEX unit_runs_due ON unit_runs (rollout, registered_at) WHERE resolved_at IS NULL;

-- When the window of a unit that is registered now ends; null where the unit is the run. The api's
-- clock names the epoch, and however wrong it is, no window is longer than an epoch.
CREATE FUNCTION unit_window_end(
    unit text, maturation_seconds integer, epoch_seconds integer, epoch bigint
) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT CASE unit
        WHEN 'Session' THEN clock_timestamp() + make_interval(secs => maturation_seconds)
        WHEN 'TenantEpoch' THEN least(
            to_timestamp((epoch + 1) * epoch_seconds),
            clock_timestamp() + make_interval(secs => epoch_seconds))
    END
$$;

-- Runs that were voided before their registration arrived: it must not be numbered any more.
-- Kept for a day, which is longer than any request is under way.
CREATE TABLE voided_runs (
    namespace text        NOT NULL,
    doer      text        NOT NULL,
    run_id    text        NOT NULL,
    voided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, doer, run_id)
);
CREATE INDEX voided_runs_by_age ON voided_runs (voided_at);

-- What is due is found without a look at all that is open: at 1,000 runs a second and ten minutes of
-- maturation that is 600,000 rows, several times a second.
CREATE INDEX deployment_routings_due ON deployment_routings (rollout, registered_at)
    WHERE resolved_at IS NULL;

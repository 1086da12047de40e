-- Every run that was reported. Arm, policy, propensity and revision are the registration's where
-- there is one (`rollout` is set then), else what the agent said.
CREATE TABLE runs (
    namespace             text             NOT NULL,
    run_id                text             NOT NULL,
    doer                  text             NOT NULL,
    policy                text             NOT NULL,
    arm                   text             NOT NULL CHECK (arm IN ('control', 'candidate')),
    propensity            double precision NOT NULL CHECK (propensity BETWEEN 0 AND 1),
    revision              bigint           NOT NULL,
    rollout               text,
    tenant                text,
    duration_milliseconds double precision,
    cost_usd              double precision,
    bundle                jsonb            NOT NULL,
    content_hash          bytea            NOT NULL,
    received_at           timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, run_id)
);
CREATE INDEX runs_by_doer ON runs (namespace, doer, received_at);

CREATE TABLE crl_results (
    id                  uuid           PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace           text           NOT NULL,
    run_id              text           NOT NULL,
    loss_value          numeric(10, 6) NOT NULL,
    loss                double precision NOT NULL CHECK (loss BETWEEN 0 AND 1),
    weights             jsonb          NOT NULL DEFAULT '{}',
    breakdown           jsonb          NOT NULL DEFAULT '{}',
    partial             boolean        NOT NULL,
    gate_pass_rate      double precision,
    contradictions      double precision,
    grounding           double precision,
    cost_over_budget    double precision,
    latency_p95         double precision,
    security_criticals  double precision,
    api_breakages       double precision,
    db_migration_fail   double precision,
    rag_coverage        double precision,
    created_at          timestamptz    NOT NULL DEFAULT now(),
    CONSTRAINT crl_results_run UNIQUE (namespace, run_id),
    FOREIGN KEY (namespace, run_id) REFERENCES runs (namespace, run_id) ON DELETE CASCADE
);
COMMENT ON COLUMN crl_results.loss_value IS 'the loss to six places, for people; evidence uses loss';
COMMENT ON COLUMN crl_results.gate_pass_rate IS
    'terms are normalised: 0 best, 1 worst; null: not reported';

CREATE TABLE learning_progress (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace      text        NOT NULL,
    doer           text        NOT NULL,
    "timestamp"    timestamptz NOT NULL DEFAULT now(),
    crl_value      double precision NOT NULL,
    policy_version text        NOT NULL
);
CREATE INDEX learning_progress_by_doer ON learning_progress (namespace, doer, "timestamp");

-- Once per statement, not per row: a batch of runs costs one insert.
CREATE FUNCTION record_crl_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO learning_progress (namespace, doer, "timestamp", crl_value, policy_version)
    SELECT r.namespace, r.doer, n.created_at, n.loss, coalesce(p.version, r.policy)
    FROM fresh n
    JOIN runs r ON r.namespace = n.namespace AND r.run_id = n.run_id
    LEFT JOIN policies p ON p.namespace = r.namespace AND p.id = r.policy;
    RETURN NULL;
END $$;
CREATE TRIGGER trigger_crl_progress AFTER INSERT ON crl_results
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION record_crl_progress();

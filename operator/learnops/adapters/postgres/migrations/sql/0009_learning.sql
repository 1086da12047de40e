-- Tables of learning. Created with their constraints before anything writes them, so that what is
-- built on them finds one shape; docs/reference/run-log.md says who writes each today.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        RAISE EXCEPTION 'this Postgres has no pgvector: install the extension "vector" on its server'
            USING ERRCODE = 'feature_not_supported';
    END IF;
END $$;
CREATE EXTENSION IF NOT EXISTS vector;

-- A session ends before the next one of its doer begins.
CREATE TABLE learning_sessions (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace  text        NOT NULL,
    doer       text        NOT NULL,
    status     text        NOT NULL DEFAULT 'active'
               CHECK (status IN ('active', 'awaiting_approval', 'succeeded', 'failed')),
    started_by text        NOT NULL CHECK (started_by IN ('signals', 'schedule', 'person')),
    why        text        NOT NULL,
    signals    jsonb       NOT NULL DEFAULT '[]',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    CONSTRAINT learning_sessions_ended
        CHECK ((ended_at IS NOT NULL) = (status IN ('succeeded', 'failed')))
);
CREATE UNIQUE INDEX learning_sessions_one_open ON learning_sessions (namespace, doer)
    WHERE ended_at IS NULL;
CREATE INDEX learning_sessions_by_status ON learning_sessions (status, namespace, doer);

CREATE TABLE experiments (
    id                  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace           text        NOT NULL,
    name                text        NOT NULL,
    doer                text        NOT NULL,
    type                text        NOT NULL CHECK (type IN (
        'prompt_synthesis', 'adapter_training', 'tool_tuning', 'rag_optimization')),
    status              text        NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'running', 'succeeded', 'failed')),
    session_id          uuid        REFERENCES learning_sessions (id),
    configuration       jsonb       NOT NULL DEFAULT '{}',
    base_policy_id      text        NOT NULL,
    resulting_policy_id text,
    loss_delta          double precision CHECK (loss_delta BETWEEN -1 AND 1),
    stability           double precision CHECK (stability >= 0),
    cost_usd            double precision CHECK (cost_usd >= 0),
    duration_seconds    double precision CHECK (duration_seconds >= 0),
    started_at          timestamptz NOT NULL DEFAULT now(),
    ended_at            timestamptz,
    CONSTRAINT experiments_name UNIQUE (namespace, name),
    CONSTRAINT experiments_ended
        CHECK ((ended_at IS NOT NULL) = (status IN ('succeeded', 'failed')))
);
CREATE INDEX experiments_by_status ON experiments (status, namespace, doer);
CREATE INDEX experiments_by_session ON experiments (session_id) WHERE session_id IS NOT NULL;

CREATE VIEW v_experiment_success_rate AS
SELECT namespace, doer, type,
       avg((status = 'succeeded')::int::float8) AS success_rate, count(*) AS total
FROM experiments WHERE ended_at IS NOT NULL
GROUP BY namespace, doer, type;

-- The same cases for both policies under the same seeds; `digest` is that of every score.
CREATE TABLE offline_replays (
    id                  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace           text        NOT NULL,
    doer                text        NOT NULL,
    experiment_id       uuid        REFERENCES experiments (id),
    rollout             text        REFERENCES shadow_deployments (id),
    candidate_policy_id text        NOT NULL,
    parent_policy_id    text        NOT NULL,
    golden_dataset      text        NOT NULL,
    cases               integer     NOT NULL CHECK (cases >= 1),
    seeds               integer     NOT NULL CHECK (seeds >= 5),
    candidate_loss      double precision NOT NULL CHECK (candidate_loss BETWEEN 0 AND 1),
    parent_loss         double precision NOT NULL CHECK (parent_loss BETWEEN 0 AND 1),
    delta_low           double precision NOT NULL CHECK (delta_low BETWEEN -1 AND 1),
    delta_high          double precision NOT NULL CHECK (delta_high BETWEEN delta_low AND 1),
    spread              double precision NOT NULL CHECK (spread >= 0),
    deterministic       boolean     NOT NULL,
    digest              text        NOT NULL,
    passed              boolean     NOT NULL,
    replayed_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX offline_replays_by_candidate
    ON offline_replays (namespace, doer, candidate_policy_id);

CREATE TABLE skill_cards (
    id                 uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace          text        NOT NULL,
    doer               text        NOT NULL,
    strengths          jsonb       NOT NULL DEFAULT '[]',
    weaknesses         jsonb       NOT NULL DEFAULT '[]',
    best_models        jsonb       NOT NULL DEFAULT '[]',
    failure_modes      jsonb       NOT NULL DEFAULT '[]',
    loss_delta_7d      double precision CHECK (loss_delta_7d BETWEEN -1 AND 1),
    loss_delta_30d     double precision CHECK (loss_delta_30d BETWEEN -1 AND 1),
    recent_experiments jsonb       NOT NULL DEFAULT '[]',
    current_policy     text,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT skill_cards_doer UNIQUE (namespace, doer)
);
CREATE TRIGGER trigger_skill_card_updated BEFORE UPDATE ON skill_cards
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- Frozen: another content is another golden set. Training may never see one.
CREATE TABLE golden_datasets (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace  text        NOT NULL,
    name       text        NOT NULL,
    doer       text        NOT NULL,
    digest     text        NOT NULL,
    cases      jsonb       NOT NULL CHECK (jsonb_typeof(cases) = 'array'),
    created_by text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT golden_datasets_name UNIQUE (namespace, name)
);
CREATE FUNCTION refuse_thaw() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'golden set %/% is frozen: make another one', OLD.namespace, OLD.name
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER trigger_golden_frozen BEFORE UPDATE ON golden_datasets
    FOR EACH ROW EXECUTE FUNCTION refuse_thaw();

-- One row per content and doer, whichever runs it came from.
CREATE TABLE dataset_samples (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    dataset_id   uuid        NOT NULL,
    namespace    text        NOT NULL,
    doer         text        NOT NULL,
    role         text        NOT NULL,
    run_id       text        NOT NULL,
    tenant       text,
    content_hash bytea       NOT NULL,
    content      jsonb       NOT NULL,
    labels       jsonb       NOT NULL DEFAULT '{}',
    provenance   jsonb       NOT NULL DEFAULT '{}',
    reward       double precision CHECK (reward BETWEEN 0 AND 1),
    created_at   timestamptz NOT NULL DEFAULT now(),
    exported_at  timestamptz,
    CONSTRAINT dataset_samples_content UNIQUE (namespace, doer, role, content_hash)
);
CREATE INDEX dataset_samples_by_dataset ON dataset_samples (dataset_id);
CREATE INDEX dataset_samples_by_run ON dataset_samples (namespace, run_id);

-- Who let a policy pass, and for which attempt: an approval holds for no other.
CREATE TABLE learning_approvals (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace     text        NOT NULL,
    doer          text        NOT NULL,
    policy_id     text        NOT NULL,
    identity      text        NOT NULL,
    attempt       integer     NOT NULL CHECK (attempt >= 1),
    rollout       text        NOT NULL REFERENCES shadow_deployments (id),
    decision      text        NOT NULL CHECK (decision IN ('approved', 'rejected', 'auto_approved')),
    auto_approved boolean     GENERATED ALWAYS AS (decision = 'auto_approved') STORED,
    decided_by    text        NOT NULL,
    why           text        NOT NULL,
    decided_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT learning_approvals_attempt UNIQUE (rollout, policy_id, attempt)
);
CREATE TRIGGER trigger_approvals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON learning_approvals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE score_cards (
    namespace              text        NOT NULL,
    run_id                 text        NOT NULL,
    doer                   text        NOT NULL,
    task_type              text        NOT NULL DEFAULT '',
    accuracy               double precision NOT NULL CHECK (accuracy BETWEEN 0 AND 100),
    efficiency             double precision NOT NULL CHECK (efficiency BETWEEN 0 AND 100),
    reusability            double precision NOT NULL CHECK (reusability BETWEEN 0 AND 100),
    surprise               double precision NOT NULL CHECK (surprise BETWEEN 0 AND 100),
    overall                double precision GENERATED ALWAYS AS
                           ((accuracy + efficiency + reusability + surprise) / 4) STORED,
    execution_milliseconds double precision CHECK (execution_milliseconds >= 0),
    scored_at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, run_id),
    FOREIGN KEY (namespace, run_id) REFERENCES runs (namespace, run_id) ON DELETE CASCADE
);

CREATE TABLE reflections (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace   text        NOT NULL,
    doer        text        NOT NULL,
    run_id      text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN (
        'mandatory_reflection', 'extract_template', 'update_architecture')),
    root_cause  text        NOT NULL DEFAULT '',
    assumptions jsonb       NOT NULL DEFAULT '[]',
    actions     jsonb       NOT NULL DEFAULT '[]',
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reflections_run UNIQUE (namespace, run_id, kind),
    FOREIGN KEY (namespace, run_id) REFERENCES runs (namespace, run_id) ON DELETE CASCADE
);

-- What a candidate wrote names its policy, so that control does not see it before its promotion.
CREATE TABLE memories (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace     text        NOT NULL,
    doer          text        NOT NULL,
    kind          text        NOT NULL
                  CHECK (kind IN ('short_term', 'working', 'long_term', 'template')),
    topic         text        NOT NULL,
    content       text        NOT NULL,
    source_run_id text,
    policy_id     text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    archived_at   timestamptz
);
CREATE INDEX memories_by_doer ON memories (namespace, doer, kind, topic) WHERE archived_at IS NULL;
CREATE INDEX memories_by_run ON memories (namespace, source_run_id)
    WHERE source_run_id IS NOT NULL;

CREATE TABLE patterns (
    id          uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace   text        NOT NULL,
    doer        text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN (
        'success_patterns', 'failure_patterns', 'performance_patterns', 'dependency_patterns')),
    items       jsonb       NOT NULL CHECK (jsonb_typeof(items) = 'array'),
    support     double precision NOT NULL CHECK (support BETWEEN 0 AND 1),
    lift        double precision NOT NULL CHECK (lift >= 0),
    occurrences integer     NOT NULL CHECK (occurrences >= 1),
    examples    jsonb       NOT NULL DEFAULT '[]',
    found_at    timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,
    CONSTRAINT patterns_items UNIQUE (namespace, doer, kind, items)
);

CREATE TABLE embeddings (
    memory_id   uuid        NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    model       text        NOT NULL,
    embedding   vector(256) NOT NULL,
    embedded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (memory_id, model)
);

-- What is to be told to others once its transaction is in.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace  text        NOT NULL,
    doer       text        NOT NULL,
    event      text        NOT NULL,
    payload    jsonb       NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts   integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    sent_at    timestamptz
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE sent_at IS NULL;

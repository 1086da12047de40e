-- What the api has seen of Policy objects. `id` is the object's name; `status` its stage in lower case.
CREATE TABLE policies (
    namespace        text        NOT NULL,
    id               text        NOT NULL,
    doer             text        NOT NULL,
    version          text        NOT NULL,
    status           text        NOT NULL DEFAULT 'draft',
    prompts          jsonb       NOT NULL DEFAULT '{}',
    models           jsonb       NOT NULL DEFAULT '{}',
    hparams          jsonb       NOT NULL DEFAULT '{}',
    router_rules     jsonb       NOT NULL DEFAULT '{}',
    tools_allowlist  jsonb       NOT NULL DEFAULT '[]',
    weights          jsonb       NOT NULL DEFAULT '{}',
    parent_policy_id text,
    lineage          jsonb       NOT NULL DEFAULT '[]',
    signature        text        NOT NULL DEFAULT '',
    identity         text        NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, id)
);
CREATE INDEX policies_by_doer ON policies (namespace, doer);
COMMENT ON COLUMN policies.weights IS
    'empty: runs are weighed by the doer (shadow_deployments.crl), so that both arms share a yardstick';

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER trigger_policy_updated BEFORE UPDATE ON policies
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- One row per stage move, the memory that survives the objects.
CREATE TABLE policy_promotions (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transition_id text        NOT NULL,
    namespace     text        NOT NULL,
    doer          text        NOT NULL,
    policy_id     text        NOT NULL,
    digest        text        NOT NULL,
    identity      text        NOT NULL,
    from_stage    text,
    to_stage      text        NOT NULL,
    promoted_by   text        NOT NULL,
    why           text        NOT NULL,
    rollout       text        NOT NULL DEFAULT '',
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    -- Scoped by doer, so that no id of another doer can make a move disappear.
    CONSTRAINT policy_promotions_transition UNIQUE (namespace, doer, transition_id)
);
CREATE INDEX policy_promotions_by_doer ON policy_promotions (namespace, doer, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER trigger_promotions_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_promotions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every (namespace, doer) that has runs, by one look at the index each.
CREATE FUNCTION reported_doers() RETURNS TABLE (namespace text, doer text)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE known AS (
        (SELECT r.doer, r.namespace FROM runs r ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT n.doer, n.namespace FROM known k CROSS JOIN LATERAL (
            SELECT r.doer, r.namespace FROM runs r
            WHERE (r.doer, r.namespace) > (k.doer, k.namespace) ORDER BY 1, 2 LIMIT 1
        ) n
    )
    SELECT namespace, doer FROM known
$$;

-- Up to where bundles of a doer are gone already: a pass does not look at them again.
CREATE TABLE retention_marks (
    namespace  text        NOT NULL,
    doer       text        NOT NULL,
    done_until timestamptz NOT NULL,
    PRIMARY KEY (namespace, doer)
);

-- One row per request to erase a tenant: who, when, how many. `tenant_mark` is a digest of the name
-- with `salt`; both are forgotten at `forget_at`, and until then bundles that arrive late are found
-- by them. The name itself is nowhere here.
CREATE TABLE tenant_erasures (
    id            uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    namespace     text        NOT NULL,
    tenant_mark   bytea,
    salt          bytea,
    requested_by  text        NOT NULL,
    database_role text        NOT NULL DEFAULT session_user,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    forget_at     timestamptz NOT NULL,
    looked_until  timestamptz NOT NULL DEFAULT '-infinity',
    last_pass_at  timestamptz,
    runs          bigint      NOT NULL DEFAULT 0,
    units         bigint      NOT NULL DEFAULT 0,
    CONSTRAINT tenant_erasures_known CHECK ((tenant_mark IS NULL) = (salt IS NULL))
);
CREATE INDEX tenant_erasures_open ON tenant_erasures (forget_at) WHERE salt IS NOT NULL;

-- Units of a rollout that had not ended: their ids keep the arm that was drawn, and go at its end.
CREATE TABLE tenant_erasure_units (
    erasure uuid   NOT NULL REFERENCES tenant_erasures (id),
    rollout text   NOT NULL REFERENCES shadow_deployments (id),
    seq     bigint NOT NULL,
    PRIMARY KEY (rollout, seq)
);

-- One row per attempt of a rollout; `id` is the salt that draws its arms.
-- `next_seq` is the counter that numbers its registrations: taken under this row's lock, so that
-- the numbers have no gap and rise in the order of commits.
CREATE TABLE shadow_deployments (
    id                  text        PRIMARY KEY,
    namespace           text        NOT NULL,
    doer                text        NOT NULL,
    mode                text        NOT NULL DEFAULT 'canary' CHECK (mode IN ('shadow', 'canary')),
    candidate_policy_id text        NOT NULL,
    control_policy_id   text        NOT NULL,
    allocation_pct      integer     NOT NULL DEFAULT 0 CHECK (allocation_pct BETWEEN 0 AND 100),
    auto_promote        boolean     NOT NULL DEFAULT false,
    safety_thresholds   jsonb       NOT NULL DEFAULT '{}',
    canary              text        NOT NULL,
    canary_uid          text        NOT NULL,
    identity            text        NOT NULL,
    attempt             integer     NOT NULL CHECK (attempt >= 1),
    maturation_seconds  integer     NOT NULL CHECK (maturation_seconds >= 1),
    crl                 jsonb       NOT NULL,
    next_seq            bigint      NOT NULL DEFAULT 1,
    started_at          timestamptz NOT NULL DEFAULT now(),
    ended_at            timestamptz,
    outcome             text
) WITH (fillfactor = 50);
CREATE INDEX shadow_deployments_by_doer ON shadow_deployments (namespace, doer);
CREATE INDEX shadow_deployments_live ON shadow_deployments (id) WHERE ended_at IS NULL;

-- How much of a rollout's log is resolved without a gap: seq <= prefix_seq has been counted.
-- Apart from shadow_deployments, so that counting never waits for a registration.
CREATE TABLE rollout_prefixes (
    rollout    text   PRIMARY KEY REFERENCES shadow_deployments (id) ON DELETE CASCADE,
    prefix_seq bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One row per routing choice of a live rollout. `loss` is the evidence loss: 1 after a timeout,
-- whatever the run reports later. `revision` is the epoch: the traffic revision of the draw.
CREATE TABLE deployment_routings (
    rollout       text             NOT NULL REFERENCES shadow_deployments (id),
    seq           bigint           NOT NULL,
    namespace     text             NOT NULL,
    doer          text             NOT NULL,
    run_id        text             NOT NULL,
    unit_id       text             NOT NULL,
    arm           text             NOT NULL CHECK (arm IN ('control', 'candidate')),
    policy        text             NOT NULL,
    propensity    double precision NOT NULL CHECK (propensity > 0 AND propensity < 1),
    revision      bigint           NOT NULL,
    registered_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    resolved_at   timestamptz,
    resolution    text             CHECK (resolution IN ('Bundle', 'Timeout', 'Void')),
    loss          double precision CHECK (loss BETWEEN 0 AND 1),
    PRIMARY KEY (rollout, seq),
    CONSTRAINT deployment_routings_run UNIQUE (namespace, run_id),
    CONSTRAINT deployment_routings_unit UNIQUE (rollout, unit_id),
    CONSTRAINT resolved_whole CHECK ((resolved_at IS NULL) = (resolution IS NULL)),
    CONSTRAINT loss_where_resolved
        CHECK ((loss IS NULL) = (resolution IS NULL OR resolution = 'Void'))
) WITH (fillfactor = 80);
CREATE INDEX deployment_routings_open ON deployment_routings (rollout, seq)
    WHERE resolved_at IS NULL;

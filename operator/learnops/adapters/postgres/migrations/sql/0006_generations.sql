-- Analysis generations after the first: from registration `first_seq` on, runs of the rollout are
-- scored by `crl` and judged anew. The first is the rollout's own row. Written under that row's
-- lock, as registrations are numbered, so that each run has exactly one generation.
CREATE TABLE rollout_generations (
    rollout    text        NOT NULL REFERENCES shadow_deployments (id) ON DELETE CASCADE,
    generation integer     NOT NULL CHECK (generation >= 2),
    first_seq  bigint      NOT NULL CHECK (first_seq >= 1),
    attempt    integer     NOT NULL CHECK (attempt >= 2),
    crl        jsonb       NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (rollout, generation)
);

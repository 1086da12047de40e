-- Several candidates in one rollout. Each try of a candidate is a row, whatever it is tried beside.
-- In shadow_deployments stand the first of them and the share of all together.
CREATE TABLE rollout_candidates (
    rollout  text    NOT NULL REFERENCES shadow_deployments (id) ON DELETE CASCADE,
    policy   text    NOT NULL,
    identity text    NOT NULL,
    attempt  integer NOT NULL CHECK (attempt >= 1),
    PRIMARY KEY (rollout, policy)
);
INSERT INTO rollout_candidates (rollout, policy, identity, attempt)
SELECT id, candidate_policy_id, identity, attempt FROM shadow_deployments;

-- `propensity` is the probability of any candidate, 1 - that of control. `propensities` has the
-- probability of each policy by name; rows from before have none and one candidate.
ALTER TABLE deployment_routings ADD COLUMN propensities jsonb;

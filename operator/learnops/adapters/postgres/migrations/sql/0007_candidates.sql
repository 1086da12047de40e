-- Several candidates in one rollout. Each try of a candidate is a row, whatever it is tried beside,
-- and so is each further generation in which it is judged. In shadow_deployments stand the first of
-- them and the share of all together.
CREATE TABLE rollout_candidates (
    rollout    text    NOT NULL REFERENCES shadow_deployments (id) ON DELETE CASCADE,
    policy     text    NOT NULL,
    generation integer NOT NULL DEFAULT 1 CHECK (generation >= 1),
    identity   text    NOT NULL,
    attempt    integer NOT NULL CHECK (attempt >= 1),
    PRIMARY KEY (rollout, policy, generation)
);
INSERT INTO rollout_candidates (rollout, policy, identity, attempt)
SELECT id, candidate_policy_id, identity, attempt FROM shadow_deployments;
INSERT INTO rollout_candidates (rollout, policy, generation, identity, attempt)
SELECT d.id, d.candidate_policy_id, g.generation, d.identity, g.attempt
FROM rollout_generations g JOIN shadow_deployments d ON d.id = g.rollout;
ALTER TABLE rollout_generations DROP COLUMN attempt;

-- `propensity` is the probability of any candidate, 1 - that of control. `propensities` has the
-- probability of each policy by name; rows from before have none and one candidate.
ALTER TABLE deployment_routings ADD COLUMN propensities jsonb;

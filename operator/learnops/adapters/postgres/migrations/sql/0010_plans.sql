-- Up to where a reader has read a rollout's log, in the transaction that read it: what it has seen is
-- in every database that holds the mark. One that was restored to an older state holds an older
-- mark or none, also after its numbers were given to other runs. `what` is the candidate whose
-- evidence was read, empty for the pairs of a shadow stage; `reader` is an id that nobody else has.
-- No foreign key: its check would lock the row that numbers registrations, and fail beside them in
-- a transaction with one snapshot. The marks go when the rollout is closed.
CREATE TABLE rollout_readings (
    rollout text   NOT NULL,
    what    text   NOT NULL,
    reader  text   NOT NULL,
    upto    bigint NOT NULL CHECK (upto >= 1),
    PRIMARY KEY (rollout, what, reader)
) WITH (fillfactor = 50);

-- Pairs that can be resolved, without a look at all that are open: those whose candidate has told,
-- and those whose time may be up.
CREATE INDEX shadow_pairs_told ON shadow_pairs (rollout, seq)
    WHERE resolved_at IS NULL AND reported_loss IS NOT NULL;
CREATE INDEX shadow_pairs_due ON shadow_pairs (rollout, registered_at) WHERE resolved_at IS NULL;

-- Rollouts that ended a short while ago, whose series the api still keeps: asked for twice a second.
CREATE INDEX shadow_deployments_ended ON shadow_deployments (ended_at) WHERE ended_at IS NOT NULL;

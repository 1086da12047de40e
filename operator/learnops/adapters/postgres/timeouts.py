"""Resolution by time: a run that reports nothing within its maturation has evidence loss 1."""

from learnops.adapters.postgres.connection import Connection

# The database's clock alone decides. A row that another transaction is resolving right now is
# left to it (SKIP LOCKED): whoever commits first has resolved it, and nobody waits.
_RESOLVE = """
WITH due AS (
    SELECT t.rollout, t.seq
    FROM deployment_routings t JOIN shadow_deployments d ON d.id = t.rollout
    WHERE t.rollout = ANY(%(rollouts)s) AND t.resolved_at IS NULL
      AND t.registered_at <= clock_timestamp() - make_interval(secs => d.maturation_seconds)
    ORDER BY t.rollout, t.seq
    FOR UPDATE OF t SKIP LOCKED
)
UPDATE deployment_routings t
SET resolved_at = clock_timestamp(), resolution = 'Timeout', loss = 1
FROM due
WHERE t.rollout = due.rollout AND t.seq = due.seq AND t.resolved_at IS NULL
"""


async def resolve_timeouts(connection: Connection, *, rollouts: list[str]) -> int:
    """Resolve the runs of these rollouts whose time is up; returns how many."""
    cursor = await connection.execute(_RESOLVE, {"rollouts": rollouts})
    return cursor.rowcount

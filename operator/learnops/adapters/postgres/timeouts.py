"""Resolution by time: a run that reports nothing within its maturation has evidence loss 1."""

from learnops.adapters.postgres.connection import Connection

# The database's clock alone decides: now() and not clock_timestamp(), for which no index can be
# asked. Each rollout's due runs are the beginning of `deployment_routings_due`; those over the
# limit are resolved the next time. A row that another transaction is resolving right now is left
# to it (SKIP LOCKED): whoever commits first has resolved it, and nobody waits.
RESOLVE = """
WITH due AS (
    SELECT d.id AS rollout, o.seq
    FROM unnest(%(rollouts)s::text[]) AS i (id) CROSS JOIN LATERAL (
        SELECT id, maturation_seconds FROM shadow_deployments
        WHERE id = i.id AND unit = 'Run' LIMIT 1
    ) d CROSS JOIN LATERAL (
        SELECT seq FROM deployment_routings
        WHERE rollout = d.id AND resolved_at IS NULL
          AND registered_at <= now() - make_interval(secs => d.maturation_seconds)
        ORDER BY registered_at LIMIT 5000
        FOR UPDATE SKIP LOCKED
    ) o
)
UPDATE deployment_routings t
SET resolved_at = clock_timestamp(), resolution = 'Timeout', loss = 1
FROM due
WHERE t.rollout = due.rollout AND t.seq = due.seq AND t.resolved_at IS NULL
"""


async def resolve_timeouts(connection: Connection, *, rollouts: list[str]) -> int:
    """Resolve the runs of these rollouts whose time is up; returns how many.

    At most 5,000 of each rollout.
    """
    cursor = await connection.execute(RESOLVE, {"rollouts": rollouts})
    return cursor.rowcount

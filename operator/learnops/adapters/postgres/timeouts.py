"""Resolution by time: a run that reports nothing within its maturation has evidence loss 1."""

from collections.abc import Sequence

from learnops.adapters.postgres.connection import Connection

# The database's clock alone decides: now() and not clock_timestamp(), for which no index can be
# asked. The rollout's due runs are the beginning of `deployment_routings_due`; those over the
# limit are resolved the next time. A row that another transaction is resolving right now is left
# to it (SKIP LOCKED): whoever commits first has resolved it, and nobody waits.
# By an array of numbers, and not by a join with what is due: planned while the table was empty, a
# join compares each due run with each open one. Between the least and the greatest of them, because
# PostgreSQL 16 may look for an array's numbers in all that the other conditions leave.
RESOLVE = """
WITH due AS (
    SELECT o.seq FROM (
        SELECT maturation_seconds FROM shadow_deployments
        WHERE id = %(rollout)s AND unit = 'Run' LIMIT 1
    ) d CROSS JOIN LATERAL (
        SELECT seq FROM deployment_routings
        WHERE rollout = (SELECT %(rollout)s::text) AND resolved_at IS NULL
          AND registered_at <= now() - make_interval(secs => d.maturation_seconds)
        ORDER BY registered_at LIMIT 5000
        FOR UPDATE SKIP LOCKED
    ) o
)
UPDATE deployment_routings t
SET resolved_at = clock_timestamp(), resolution = 'Timeout', loss = 1
WHERE t.rollout = %(rollout)s AND t.resolution IS NULL AND t.seq = ANY(ARRAY(SELECT seq FROM due))
  AND t.seq BETWEEN (SELECT min(seq) FROM due) AND (SELECT max(seq) FROM due)
"""


async def resolve_timeouts(connection: Connection, *, rollouts: Sequence[str]) -> int:
    """Resolve the runs of these rollouts whose time is up; returns how many.

    At most 5,000 of each rollout.
    """
    cursor = connection.cursor()
    await cursor.executemany(RESOLVE, [{"rollout": rollout} for rollout in sorted(rollouts)])
    return cursor.rowcount

"""The resolved prefix of live rollouts: resolved by time, extended in order, counted once.

Several replicas may run this: the one that moves `prefix_seq` is the one that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from learnops.adapters.postgres.connection import Connection, Pool, transaction
from learnops.adapters.postgres.timeouts import resolve_timeouts
from learnops.adapters.postgres.units import resolve_units

_LIMIT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What entered the prefix of one rollout under one policy, arm and revision of the traffic.

    Void runs are none.
    """

    rollout: str
    namespace: str
    doer: str
    policy: str
    arm: str
    revision: int
    runs: int
    loss_sum: float
    loss_sumsq: float
    timeouts: float  # of the runs, those that were resolved by time; of a unit, a part


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPrefix:
    """A rollout that has not ended, or ended a short while ago.

    `growing`: runs are resolved that its prefix does not hold yet. `due`: the time of an unresolved
    run is up. `lag_seconds`: how long ago the first run outside the prefix should have been in it,
    its maturation included; 0 where none is late, None once the rollout has ended.
    """

    rollout: str
    namespace: str
    doer: str
    growing: bool
    due: bool
    lag_seconds: float | None


# Rollouts that ended long ago are as many as there ever were: two questions, each of an index.
_ROLLOUTS = """
SELECT d.id, d.namespace, d.doer,
       coalesce(o.seq, d.next_seq) > p.prefix_seq + 1,
       coalesce(coalesce(o.window_ends_at,
                         o.registered_at + make_interval(secs => d.maturation_seconds))
                <= clock_timestamp(), false),
       CASE WHEN d.ended_at IS NULL THEN greatest(coalesce(
           extract(epoch FROM clock_timestamp() - coalesce(f.window_ends_at, f.registered_at))
               - d.maturation_seconds, 0), 0)::float8 END
FROM (
    SELECT id, namespace, doer, next_seq, maturation_seconds, ended_at
    FROM shadow_deployments WHERE ended_at IS NULL
    UNION ALL
    SELECT id, namespace, doer, next_seq, maturation_seconds, ended_at
    FROM shadow_deployments WHERE ended_at > now() - make_interval(secs => %s)
) d
CROSS JOIN LATERAL (SELECT prefix_seq FROM rollout_prefixes WHERE rollout = d.id LIMIT 1) p
LEFT JOIN LATERAL (
    SELECT seq, registered_at, window_ends_at FROM deployment_routings
    WHERE rollout = d.id AND resolved_at IS NULL ORDER BY seq LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT registered_at, window_ends_at FROM deployment_routings
    WHERE rollout = d.id AND seq = p.prefix_seq + 1 LIMIT 1
) f ON true
"""

_LOCK = "SELECT prefix_seq FROM rollout_prefixes WHERE rollout = %s FOR UPDATE SKIP LOCKED"

_STOP = """
SELECT coalesce(
    (SELECT min(seq) FROM deployment_routings WHERE rollout = d.id AND resolved_at IS NULL),
    d.next_seq)
FROM shadow_deployments d WHERE d.id = %s
"""

# Postgres raises an error for a product that is too small for a double. Without the case, a loss
# below 1.5e-162, which an extra term may make, would be the last that enters this prefix.
_COUNT = """
SELECT policy, arm, revision, count(*), sum(loss),
       sum(CASE WHEN loss < 1e-150 THEN 0 ELSE loss * loss END),
       sum(coalesce(timed_out, (resolution = 'Timeout')::int))
FROM deployment_routings
WHERE rollout = %s AND seq > %s AND seq <= %s AND resolution IN ('Bundle', 'Timeout')
GROUP BY policy, arm, revision
"""

_MOVE = "UPDATE rollout_prefixes SET prefix_seq = %s WHERE rollout = %s"


async def open_prefixes(pool: Pool, *, recent_seconds: float) -> list[OpenPrefix]:
    """Rollouts that are live or ended that recently. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        cursor = await connection.execute(_ROLLOUTS, (recent_seconds,))
        rows = await cursor.fetchall()
    return [
        OpenPrefix(
            rollout=row[0],
            namespace=row[1],
            doer=row[2],
            growing=row[3],
            due=row[4],
            lag_seconds=row[5],
        )
        for row in rows
    ]


async def time_out(pool: Pool, *, rollouts: Sequence[str]) -> int:
    """Resolve by time what is due; returns how many. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        runs = await resolve_timeouts(connection, rollouts=list(rollouts))
        return runs + await resolve_units(connection, rollouts=list(rollouts))


async def extend(pool: Pool, *, rollout: OpenPrefix) -> list[Counted]:
    """Move the prefix as far as the log is resolved; returns what entered it, empty if none did.

    Empty as well when another replica is at it. Raises DatabaseUnavailableError.
    """
    async with transaction(pool) as connection:
        cursor = await connection.execute(_LOCK, (rollout.rollout,))
        held = await cursor.fetchone()
        if held is None:
            return []
        last = await _last_resolved(connection, rollout=rollout.rollout, after=held[0])
        if last <= held[0]:
            return []
        await connection.execute(_MOVE, (last, rollout.rollout))
        cursor = await connection.execute(_COUNT, (rollout.rollout, held[0], last))
        rows = await cursor.fetchall()
    return [
        Counted(
            rollout=rollout.rollout,
            namespace=rollout.namespace,
            doer=rollout.doer,
            policy=row[0],
            arm=row[1],
            revision=row[2],
            runs=row[3],
            loss_sum=row[4],
            loss_sumsq=row[5],
            timeouts=row[6],
        )
        for row in rows
    ]


async def _last_resolved(connection: Connection, *, rollout: str, after: int) -> int:
    cursor = await connection.execute(_STOP, (rollout,))
    row = await cursor.fetchone()
    stop = after + 1 if row is None else int(row[0])
    return min(stop - 1, after + _LIMIT)

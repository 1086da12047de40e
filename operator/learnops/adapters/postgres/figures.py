"""Figures of live canaries from the run log (`ports.figures.Figures`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg

from learnops.adapters.postgres.connection import (
    Connection,
    DatabaseUnavailableError,
    Pool,
    transaction,
)
from learnops.domain.evidence.pairs import LOSS_BINS, BinSums
from learnops.domain.observed import Key
from learnops.ports.figures import FiguresUnavailableError, PairRows

_WINDOW_DAYS = 7
# Of a doer with more runs than this in the window the newest tell the volume: the answer costs the
# same (a scan of the index alone) whatever the log holds.
_MOST_RUNS = 20_000
# Fewer, or within a shorter time, make a number of chance.
_LEAST_RUNS, _LEAST_SECONDS = 10, 600.0
_DAY_SECONDS = 86_400.0

_VOLUME = """
SELECT count(*), extract(epoch FROM clock_timestamp() - min(received_at))::float8,
       EXISTS (SELECT FROM runs WHERE namespace = %(namespace)s AND doer = %(doer)s
               AND received_at <= now() - make_interval(days => %(days)s))
FROM (
    SELECT received_at FROM runs
    WHERE namespace = %(namespace)s AND doer = %(doer)s
      AND received_at > now() - make_interval(days => %(days)s)
    ORDER BY received_at DESC LIMIT %(most)s
) newest
"""

_STOP = """
SELECT coalesce(
    (SELECT min(seq) FROM deployment_routings WHERE rollout = d.id AND resolved_at IS NULL),
    d.next_seq)
FROM shadow_deployments d
WHERE d.id = %(rollout)s AND d.namespace = %(namespace)s AND d.doer = %(doer)s
"""

# A cost that came after its run had timed out counts no more than its loss does, so that the
# figures do not depend on when the prefix was read. LIMIT keeps the planner from a hash join, for
# which it would read all runs that there are. The square of a tiny loss is an error to Postgres.
_PAIRS = """
SELECT mine, least(floor(loss * %(bins)s)::int, %(bins)s - 1), count(*), sum(weight),
       sum(weight * loss), sum(CASE WHEN loss < 1e-150 THEN 0 ELSE weight * loss * loss END),
       count(cost), coalesce(sum(weight) FILTER (WHERE cost IS NOT NULL), 0),
       coalesce(sum(weight * cost), 0)
FROM (
    SELECT t.arm = 'candidate' AS mine, t.loss,
           1 / CASE WHEN t.arm = 'candidate'
                    THEN coalesce((t.propensities ->> %(candidate)s)::float8, t.propensity)
                    ELSE 1 - t.propensity END AS weight,
           CASE WHEN t.resolution = 'Bundle' THEN r.cost_usd END AS cost
    FROM deployment_routings t
    LEFT JOIN LATERAL (
        SELECT cost_usd FROM runs WHERE namespace = t.namespace AND run_id = t.run_id LIMIT 1
    ) r ON true
    WHERE t.rollout = %(rollout)s AND t.seq > %(after)s AND t.seq <= %(until)s
      AND (t.arm = 'control' OR t.policy = %(candidate)s)
      AND t.resolution IN ('Bundle', 'Timeout')
) run
GROUP BY 1, 2
"""


class PostgresFigures:
    """Reads on the operator's pool; each call ends within `deadline_seconds`."""

    def __init__(self, pool: Pool, *, deadline_seconds: float = 5.0) -> None:
        self._pool = pool
        self._deadline = deadline_seconds

    async def runs_per_day(self, *, key: Key) -> float | None:
        """Runs that were reported, whether a canary was live or not.

        Of a doer that is younger than seven days since its first run.
        """
        values = {
            "namespace": key.namespace,
            "doer": key.doer,
            "days": _WINDOW_DAYS,
            "most": _MOST_RUNS,
        }
        (row,) = await self._read(_VOLUME, values)
        return _per_day(runs=row[0], oldest_seconds=row[1], older=row[2])

    async def pairs(
        self, *, key: Key, rollout: str, candidate: str, after: int, limit: int
    ) -> PairRows:
        """Both statements may see different moments: what is resolved stays as it is."""
        values = {"namespace": key.namespace, "doer": key.doer, "rollout": rollout}
        found = await self._read(_STOP, values)
        if not found:
            raise FiguresUnavailableError(f"rollout {rollout} of {key} is not in the run log")
        last = int(found[0][0]) - 1
        until = max(min(last, after + limit), after)
        ranged = {"rollout": rollout, "candidate": candidate, "after": after, "until": until}
        rows = await self._read(_PAIRS, {**ranged, "bins": LOSS_BINS})
        return PairRows(sums=[BinSums(*row) for row in rows], until=until, more=until < last)

    async def _read(
        self, query: LiteralString, values: dict[str, Any]
    ) -> Sequence[tuple[Any, ...]]:
        async with self._transaction() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(self._deadline), transaction(self._pool) as connection:
                yield connection
        except TimeoutError as error:
            message = f"Postgres did not answer within {self._deadline:g} s"
            raise FiguresUnavailableError(message) from error
        except (DatabaseUnavailableError, psycopg.Error) as error:
            raise FiguresUnavailableError(str(error)) from error


def _per_day(*, runs: int, oldest_seconds: float | None, older: bool) -> float | None:
    if oldest_seconds is None or runs < _LEAST_RUNS or oldest_seconds < _LEAST_SECONDS:
        return None
    whole_window = older and runs < _MOST_RUNS
    seconds = _WINDOW_DAYS * _DAY_SECONDS if whole_window else oldest_seconds
    return runs * _DAY_SECONDS / seconds

"""Rows that are older than they are to be kept go, a page at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import dict_row

from learnops.adapters.postgres.connection import Connection, Pool, transaction
from learnops.adapters.postgres.expiries import BUNDLES, EXPIRIES, Expiry

PAGE = 2_000
# Any constant does: expiry and erasure, which change the same rows, take turns by it.
UPKEEP_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(5317009025)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What became of one table: `rows` went (or would go), `held` are as old and still needed."""

    table: str
    days: int
    before: datetime
    rows: int
    held: int


_CLOSE = "SELECT close_days()"
_CUTOFF = "SELECT now() - make_interval(days => %s)"

_MARK = """
INSERT INTO retention_marks AS m (namespace, doer, done_until)
SELECT %(namespace)s, %(doer)s, coalesce(min(received_at), %(cutoff)s)
FROM runs
WHERE doer = %(doer)s AND namespace = %(namespace)s
  AND received_at >= %(from)s::timestamptz AND received_at < %(cutoff)s AND bundle IS NOT NULL
ON CONFLICT (namespace, doer) DO UPDATE SET done_until = greatest(m.done_until, excluded.done_until)
"""


async def expire(
    pool: Pool,
    *,
    keep_days: Mapping[str, int],
    dry_run: bool = False,
    page: int = PAGE,
    told: Callable[[str, int], None] = lambda _table, _rows: None,
) -> list[Expired]:
    """Let go what is older than `keep_days` of its table; tables that are not named keep all.

    Days that are over are rolled up first. Each page is a transaction of its own: stopped anywhere,
    the next call goes on. `told` hears of each page. Raises DatabaseUnavailableError.
    """
    if not dry_run:
        await close_days(pool)
    sweep = _Sweep(pool=pool, dry_run=dry_run, page=page, told=told)
    return [
        await sweep.table(expiry, days=keep_days[expiry.table])
        for expiry in EXPIRIES
        if expiry.table in keep_days
    ]


async def close_days(pool: Pool) -> None:
    """Write the days that are over to the rollup. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        # The first time it reads the whole log.
        await connection.execute("SET LOCAL statement_timeout = '10min'")
        await connection.execute(_CLOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sweep:
    pool: Pool
    dry_run: bool
    page: int
    told: Callable[[str, int], None]

    async def table(self, expiry: Expiry, *, days: int) -> Expired:
        async with transaction(self.pool) as connection:
            cursor = await connection.execute(_CUTOFF, (days,))
            row = await cursor.fetchone()
        assert row is not None
        cutoff: datetime = row[0]
        rows = held = 0
        for scope in await self._scopes(expiry, cutoff=cutoff):
            freed, kept = await self._scope(expiry, {"cutoff": cutoff, **scope})
            rows, held = rows + freed, held + kept
        return Expired(table=expiry.table, days=days, before=cutoff, rows=rows, held=held)

    async def _scopes(self, expiry: Expiry, *, cutoff: datetime) -> list[dict[str, Any]]:
        async with (
            transaction(self.pool) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(expiry.scopes, {"cutoff": cutoff})
            return await cursor.fetchall()

    async def _scope(self, expiry: Expiry, scope: dict[str, Any]) -> tuple[int, int]:
        at, id_ = expiry.begin
        values = {"at": at, "id": id_, **scope, "limit": self.page}
        begun, freed, held = values["at"], 0, 0
        while True:
            async with transaction(self.pool) as connection:
                went, kept, looked_at, at, id_ = await self._turn(connection, expiry, values)
            freed, held = freed + went, held + kept
            self.told(expiry.table, went)
            if looked_at < self.page or (expiry.by_age and went == 0):
                break
            values |= {"at": at, "id": id_}
        if expiry is BUNDLES and not self.dry_run:
            async with transaction(self.pool) as connection:
                await connection.execute(_MARK, {**values, "from": begun})
        return freed, 0 if expiry.by_age else held

    async def _turn(
        self, connection: Connection, expiry: Expiry, values: dict[str, Any]
    ) -> tuple[int, int, int, str, str]:
        """Rows that went, rows that are held, rows looked at, and the cursor after them."""
        await connection.execute(UPKEEP_LOCK)
        cursor = await connection.execute(_query(expiry, dry_run=self.dry_run), values)
        row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1], row[2], row[3], row[4]


_QUERY: LiteralString = """
WITH page AS MATERIALIZED ({page}){writes}
SELECT (SELECT count(*) FROM page WHERE free), (SELECT count(*) FROM page WHERE NOT free),
       (SELECT count(*) FROM page), last.at::text, last.id
FROM (VALUES (1)) one LEFT JOIN LATERAL (
    SELECT at, id::text FROM page ORDER BY page.at DESC, page.id DESC LIMIT 1
) last ON true
"""


def _query(expiry: Expiry, *, dry_run: bool) -> LiteralString:
    """One statement, so that all of a page goes or nothing of it."""
    writes: LiteralString = ""
    name: LiteralString = "part"
    if not dry_run:
        for write in (expiry.write, *expiry.also):
            name += "_more"
            writes += f", {name} AS ({write})"
    return _QUERY.format(page=expiry.page, writes=writes)

"""Erasing a tenant: what its runs said and its name go; arm, propensity and loss stay.

What finds a tenant is a salted digest of its name (`tenant_erasures`), so that bundles which arrive
late are found without the name being kept. Every statement may be repeated, and each page of runs
is a transaction of its own: stopped anywhere, the next pass goes on.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg.rows import dict_row

from learnops.adapters.postgres.connection import Pool, transaction
from learnops.adapters.postgres.erasure_pages import page_of_runs
from learnops.adapters.postgres.retention import PAGE, UPKEEP_LOCK
from learnops.domain.bundle_limits import ERASED

# Longer than an agent that was away holds its reports.
FORGET_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """One pass: `runs` and `units` were redacted, `waiting` units are of rollouts that go on."""

    erasure: UUID
    namespace: str
    runs: int
    units: int
    waiting: int


_REQUEST = """
INSERT INTO tenant_erasures (namespace, tenant_mark, salt, requested_by, forget_at)
VALUES (%(namespace)s, sha256(%(salt)s::bytea || convert_to(%(tenant)s, 'UTF8')), %(salt)s,
        %(by)s, now() + make_interval(days => %(days)s))
RETURNING id
"""

_OPEN = "SELECT id FROM tenant_erasures WHERE salt IS NOT NULL ORDER BY requested_at, id"

# A transaction that began before may still be storing a run: five minutes are more than one lasts.
_BEGIN = """
SELECT namespace, tenant_mark AS mark, salt, looked_until::text AS since,
       now() - interval '5 minutes' AS until
FROM tenant_erasures WHERE id = %s AND salt IS NOT NULL
"""

_DOERS = "SELECT doer FROM reported_doers() WHERE namespace = %s"

_EPOCHS = """
SELECT id FROM shadow_deployments
WHERE namespace = %(namespace)s AND unit = 'TenantEpoch'
  AND (ended_at IS NULL OR ended_at >= %(since)s::timestamptz)
"""

# A unit's id is the number of its epoch, a slash, the tenant: also where no run ever reported.
_EPOCH_UNITS = """
WITH page AS MATERIALIZED (
    SELECT seq, sha256(%(salt)s::bytea
                       || convert_to(substr(unit_id, strpos(unit_id, '/') + 1), 'UTF8')) = %(mark)s
                AS mine
    FROM deployment_routings WHERE rollout = %(rollout)s AND seq > %(seq)s
    ORDER BY seq LIMIT %(limit)s
), waiting AS (
    INSERT INTO tenant_erasure_units (erasure, rollout, seq)
    SELECT %(erasure)s, %(rollout)s, seq FROM page WHERE mine ON CONFLICT DO NOTHING
)
SELECT count(*), max(seq) FROM page
"""

_UNITS = """
WITH over AS MATERIALIZED (
    SELECT w.rollout, w.seq FROM tenant_erasure_units w
    JOIN shadow_deployments d ON d.id = w.rollout
    WHERE w.erasure = %(erasure)s AND d.ended_at IS NOT NULL
    LIMIT %(limit)s
), renamed AS (
    UPDATE deployment_routings t SET unit_id = 'erased/' || gen_random_uuid()
    FROM over o WHERE t.rollout = o.rollout AND t.seq = o.seq
), done AS (
    DELETE FROM tenant_erasure_units w USING over o WHERE w.rollout = o.rollout AND w.seq = o.seq
)
SELECT count(*) FROM over
"""

# Weights of the tenant's own, as they were frozen: who they were for is its name as well.
_NAMED: LiteralString = """
UPDATE {table} g SET crl = jsonb_set(g.crl, '{{overrides}}', (
    SELECT jsonb_agg(CASE WHEN sha256(%(salt)s::bytea || convert_to(o ->> 'tenant', 'UTF8'))
                               = %(mark)s
                          THEN o || jsonb_build_object('tenant', %(erased)s::text)
                          ELSE o END ORDER BY position)
    FROM jsonb_array_elements(g.crl -> 'overrides') WITH ORDINALITY AS e (o, position)))
FROM shadow_deployments d
WHERE d.id = {of} AND d.namespace = %(namespace)s AND d.ended_at IS NOT NULL
  AND EXISTS (SELECT FROM jsonb_array_elements(g.crl -> 'overrides') o
              WHERE sha256(%(salt)s::bytea || convert_to(o ->> 'tenant', 'UTF8')) = %(mark)s)
"""
_FROZEN: tuple[LiteralString, ...] = (
    _NAMED.format(table="shadow_deployments", of="g.id"),
    _NAMED.format(table="rollout_generations", of="g.rollout"),
)

# Forgotten once it is late enough, unless a rollout that goes on may still name the tenant.
_END = """
WITH left_over AS (
    SELECT count(*) AS units FROM tenant_erasure_units WHERE erasure = %(erasure)s
), done AS (
    SELECT forget_at <= now() AND (SELECT units FROM left_over) = 0 AND NOT EXISTS (
        SELECT FROM shadow_deployments d
        WHERE d.namespace = e.namespace AND d.started_at <= e.forget_at
          AND d.ended_at IS NULL) AS yes
    FROM tenant_erasures e WHERE id = %(erasure)s
)
UPDATE tenant_erasures e
SET runs = runs + %(runs)s, units = e.units + %(units)s, last_pass_at = now(),
    looked_until = greatest(looked_until, %(until)s),
    salt = CASE WHEN done.yes THEN NULL ELSE salt END,
    tenant_mark = CASE WHEN done.yes THEN NULL ELSE tenant_mark END
FROM done, left_over
WHERE e.id = %(erasure)s
RETURNING left_over.units
"""


async def erase_tenant(
    pool: Pool,
    *,
    namespace: str,
    tenant: str,
    by: str,
    page: int = PAGE,
    told: Callable[[int], None] = lambda _runs: None,
) -> Erased:
    """Erase what is stored of a tenant, and put the request on record.

    What arrives in the next FORGET_DAYS days is erased by `follow_erasures`. `told` hears of each
    page. Raises DatabaseUnavailableError; asking again goes on, under another record.
    """
    values = {
        "namespace": namespace,
        "tenant": tenant,
        "by": by,
        "salt": secrets.token_bytes(32),
        "days": FORGET_DAYS,
    }
    async with transaction(pool) as connection:
        cursor = await connection.execute(_REQUEST, values)
        row = await cursor.fetchone()
    assert row is not None
    done = await _pass(pool, erasure=row[0], page=page, told=told)
    assert done is not None
    return done


async def follow_erasures(pool: Pool, *, page: int = PAGE) -> list[Erased]:
    """Erase what came late, and the units whose rollouts have ended since. One pass of each request
    that is not forgotten yet. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        cursor = await connection.execute(_OPEN)
        found = [row[0] for row in await cursor.fetchall()]
    passes = [
        await _pass(pool, erasure=erasure, page=page, told=lambda _runs: None) for erasure in found
    ]
    return [done for done in passes if done is not None]


async def _pass(
    pool: Pool, *, erasure: UUID, page: int, told: Callable[[int], None]
) -> Erased | None:
    async with transaction(pool) as connection, connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_BEGIN, (erasure,))
        found = await cursor.fetchone()
    if found is None:
        return None  # forgotten meanwhile, by another process
    values = {**found, "erasure": erasure, "erased": ERASED, "limit": page}
    async with transaction(pool) as connection:
        rows = await connection.execute(_DOERS, (found["namespace"],))
        doers = [row[0] for row in await rows.fetchall()]
    runs = 0
    for doer in doers:
        runs += await _runs_of(pool, values={**values, "doer": doer}, told=told)
    await _epoch_units(pool, values=values)
    units = await _units(pool, values=values)
    return await _finish(pool, values=values, runs=runs, units=units)


async def _runs_of(pool: Pool, *, values: dict[str, Any], told: Callable[[int], None]) -> int:
    values = {**values, "at": values["since"], "id": ""}
    redacted: int = 0
    while True:
        mine, seen, at, id_ = await page_of_runs(pool, values)
        redacted += mine
        told(mine)
        if seen < values["limit"]:
            return redacted
        values |= {"at": at, "id": id_}


async def _epoch_units(pool: Pool, *, values: dict[str, Any]) -> None:
    async with transaction(pool) as connection:
        cursor = await connection.execute(_EPOCHS, values)
        rollouts = [row[0] for row in await cursor.fetchall()]
    for rollout in rollouts:
        seq = 0
        while True:
            seen, last = await _turn(pool, _EPOCH_UNITS, {**values, "rollout": rollout, "seq": seq})
            if seen < values["limit"]:
                break
            seq = last


async def _units(pool: Pool, *, values: dict[str, Any]) -> int:
    renamed = 0
    while True:
        over: int = (await _turn(pool, _UNITS, values))[0]
        renamed += over
        if over < values["limit"]:
            return renamed


async def _finish(pool: Pool, *, values: dict[str, Any], runs: int, units: int) -> Erased:
    until: datetime = values["until"]
    async with transaction(pool) as connection:
        await connection.execute(UPKEEP_LOCK)
        for query in _FROZEN:
            await connection.execute(query, values)
        cursor = await connection.execute(
            _END, {"erasure": values["erasure"], "runs": runs, "units": units, "until": until}
        )
        row = await cursor.fetchone()
    return Erased(
        erasure=values["erasure"],
        namespace=values["namespace"],
        runs=runs,
        units=units,
        waiting=0 if row is None else row[0],
    )


async def _turn(pool: Pool, query: LiteralString, values: dict[str, Any]) -> tuple[Any, ...]:
    async with transaction(pool) as connection:
        await connection.execute(UPKEEP_LOCK)
        cursor = await connection.execute(query, values)
        row = await cursor.fetchone()
    assert row is not None
    return row

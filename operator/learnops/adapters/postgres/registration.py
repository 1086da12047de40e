"""Registration of drawn runs: the order in which evidence is read is made here.

The rollout's row is locked first, so numbers have no gap and rise in the order of commits; what is
read after the lock sees every registration before it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from learnops.adapters.postgres.connection import Connection, Pool, transaction
from learnops.adapters.postgres.units import ADD_RUNS, LOCK_UNITS, RUNS_OF_UNITS, VOID_RUNS
from learnops.api.assignment import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What the api drew for a run.

    `propensity` is the probability of any candidate, 1 - π of control, in (0, 1); `propensities`
    that of each policy by name.
    """

    run_id: str
    unit_id: str
    arm: str
    policy: str
    propensity: float
    revision: int
    propensities: Mapping[str, float]
    epoch: int | None = None  # the number of the epoch that a tenant's unit is for


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What holds for a run: its own draw, or the one that the run or its unit already had.

    `counts` is false for a run that is no evidence: it began after its unit's window, or, where
    the unit is the run, shares its unit with an earlier one. It keeps the arm all the same.
    """

    arm: str
    policy: str
    propensity: float
    revision: int
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRef:
    """A rollout by id, with the doer it must belong to."""

    rollout: str
    namespace: str
    doer: str


_LOCK = """
SELECT unit FROM shadow_deployments
WHERE id = %s AND namespace = %s AND doer = %s AND ended_at IS NULL FOR UPDATE
"""

# OFFSET 0, LIMIT 1 and (SELECT ...) keep every question one look-up by key, whatever the statistics
# say: of a rollout that began after the last of them they expect no rows, and a join would read all
# that it has, at every batch.
# Not numbered: a run id that another rollout holds; a run that was reported before it was
# registered (its bundle is there and will not come again); a run whose void came first.
_REGISTER = """
WITH input AS (
    SELECT * FROM unnest(%(run)s::text[], %(unit)s::text[], %(arm)s::text[], %(policy)s::text[],
                         %(propensity)s::float8[], %(revision)s::bigint[], %(epoch)s::bigint[],
                         %(propensities)s::text[])
        WITH ORDINALITY AS i (run_id, unit_id, arm, policy, propensity, revision, epoch,
                              propensities, position)
), fresh AS (
    SELECT i.*, row_number() OVER (ORDER BY i.position) AS offset_
    FROM input i
    WHERE NOT EXISTS (SELECT 1 FROM deployment_routings t
                      WHERE t.namespace = %(namespace)s AND t.run_id = i.run_id OFFSET 0)
      AND NOT EXISTS (SELECT 1 FROM unit_runs u
                      WHERE u.namespace = %(namespace)s AND u.run_id = i.run_id OFFSET 0)
      AND NOT EXISTS (SELECT 1 FROM deployment_routings t
                      WHERE t.rollout = (SELECT %(rollout)s::text)
                        AND t.unit_id = i.unit_id OFFSET 0)
      AND NOT EXISTS (SELECT 1 FROM runs r
                      WHERE r.namespace = %(namespace)s AND r.run_id = i.run_id OFFSET 0)
      AND NOT EXISTS (SELECT 1 FROM voided_runs v
                      WHERE v.namespace = %(namespace)s AND v.doer = %(doer)s
                        AND v.run_id = i.run_id OFFSET 0)
), added AS (
    INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                     propensity, revision, window_ends_at, propensities)
    SELECT d.id, d.next_seq + f.offset_ - 1, d.namespace, d.doer, f.run_id, f.unit_id, f.arm,
           f.policy, f.propensity, f.revision,
           unit_window_end(d.unit, d.maturation_seconds, d.epoch_seconds, f.epoch),
           f.propensities::jsonb
    FROM fresh f, shadow_deployments d WHERE d.id = %(rollout)s
    RETURNING run_id, unit_id, arm, policy, propensity, revision
), bumped AS (
    UPDATE shadow_deployments SET next_seq = next_seq + (SELECT count(*) FROM added)
    WHERE id = %(rollout)s
)
SELECT run_id, unit_id, arm, policy, propensity, revision FROM added
UNION ALL
SELECT t.* FROM (SELECT DISTINCT unit_id FROM input) i CROSS JOIN LATERAL (
    SELECT run_id, unit_id, arm, policy, propensity, revision FROM deployment_routings
    WHERE rollout = (SELECT %(rollout)s::text) AND unit_id = i.unit_id LIMIT 1
) t
UNION ALL
SELECT t.* FROM (SELECT DISTINCT run_id FROM input) i CROSS JOIN LATERAL (
    SELECT run_id, unit_id, arm, policy, propensity, revision FROM deployment_routings
    WHERE namespace = %(namespace)s AND run_id = i.run_id
      AND rollout = (SELECT %(rollout)s::text) LIMIT 1
) t
"""


async def register(
    pool: Pool, *, rollout: RolloutRef, draws: Sequence[Draw]
) -> list[Registered | None]:
    """Register draws in their order; one answer each, None where the run is not of this rollout.

    None means: the rollout is unknown or has ended, another rollout holds the run id, or the run
    was reported or voided before. Repeating a registration gives the same answer.

    Raises:
        DatabaseUnavailableError: nothing may be assumed; repeating is safe.
    """
    try:
        rows = await _write(pool, rollout=rollout, draws=draws)
    except psycopg.errors.UniqueViolation:
        # Another rollout registered one of the run ids in the meantime; now it is seen.
        rows = await _write(pool, rollout=rollout, draws=draws)
    by_run = {row[0]: row for row in rows}
    by_unit = {row[1]: row for row in rows}
    return [_answer(draw, by_run=by_run, by_unit=by_unit) for draw in draws]


async def void(pool: Pool, *, namespace: str, doer: str, run_ids: Sequence[str]) -> list[str]:
    """Void registrations whose agent ran control instead; returns the run ids that were open.

    One that is still under way is not numbered when it arrives. Raises DatabaseUnavailableError.
    """
    values = {"namespace": namespace, "doer": doer, "run": sorted(set(run_ids))}
    async with transaction(pool) as connection:
        # Registrations wait for this lock: each is seen here, or sees what is written here.
        cursor = await connection.execute(_LOCK_LIVE, values)
        if await cursor.fetchall():
            await connection.execute(_FORGET, values)
            await connection.execute(_BURY, values)
        cursor = await connection.execute(_VOID, values)
        voided = [row[0] for row in await cursor.fetchall()]
        cursor = await connection.execute(VOID_RUNS, values)
        return voided + [row[0] for row in await cursor.fetchall()]


# In one order everywhere; a rollout that has ended registers nothing anyway.
_LOCK_LIVE = """
SELECT 1 FROM shadow_deployments
WHERE namespace = %(namespace)s AND doer = %(doer)s AND ended_at IS NULL
ORDER BY id FOR UPDATE
"""

_FORGET = """
DELETE FROM voided_runs v USING (
    SELECT namespace, doer, run_id FROM voided_runs
    WHERE voided_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED
) old
WHERE v.namespace = old.namespace AND v.doer = old.doer AND v.run_id = old.run_id
"""

_BURY = """
INSERT INTO voided_runs (namespace, doer, run_id)
SELECT %(namespace)s, %(doer)s, i.run_id FROM unnest(%(run)s::text[]) AS i (run_id)
WHERE NOT EXISTS (SELECT 1 FROM deployment_routings t
                  WHERE t.namespace = %(namespace)s AND t.run_id = i.run_id OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM unit_runs u
                  WHERE u.namespace = %(namespace)s AND u.run_id = i.run_id OFFSET 0)
ORDER BY i.run_id
ON CONFLICT DO NOTHING
"""

_VOID = """
WITH open AS (
    SELECT t.rollout, t.seq FROM unnest(%(run)s::text[]) AS i (run_id) CROSS JOIN LATERAL (
        SELECT rollout, seq FROM deployment_routings
        WHERE namespace = %(namespace)s AND run_id = i.run_id AND doer = %(doer)s
          AND resolved_at IS NULL AND window_ends_at IS NULL
        LIMIT 1 FOR UPDATE
    ) t
)
UPDATE deployment_routings t
SET resolved_at = clock_timestamp(), resolution = 'Void'
FROM open WHERE t.rollout = open.rollout AND t.seq = open.seq AND t.resolved_at IS NULL
RETURNING t.run_id
"""

_Row = tuple[str, str, str, str, float, int]


async def _write(pool: Pool, *, rollout: RolloutRef, draws: Sequence[Draw]) -> list[_Row]:
    async with transaction(pool) as connection:
        # The answer to a registration is worth nothing without it being durable: the default
        # synchronous commit stays.
        cursor = await connection.execute(_LOCK, (rollout.rollout, rollout.namespace, rollout.doer))
        found = await cursor.fetchone()
        if found is None:
            return []
        if found[0] == Unit.RUN.value:
            return await _insert(connection, rollout=rollout, draws=_first_of_each(draws))
        return await _insert_units(connection, rollout=rollout, draws=draws)


async def _insert(
    connection: Connection, *, rollout: RolloutRef, draws: Sequence[Draw]
) -> list[_Row]:
    cursor = await connection.execute(_REGISTER, _values(rollout, draws))
    rows: list[_Row] = list(await cursor.fetchall())
    return rows


async def _insert_units(
    connection: Connection, *, rollout: RolloutRef, draws: Sequence[Draw]
) -> list[_Row]:
    """Units that are new, then every run into its unit, where that is still open."""
    units = await _insert(connection, rollout=rollout, draws=_first_of_each(draws))
    values = _values(rollout, draws)
    await connection.execute(LOCK_UNITS, values)
    await connection.execute(ADD_RUNS, values)
    cursor = await connection.execute(RUNS_OF_UNITS, values)
    runs: list[_Row] = list(await cursor.fetchall())
    return units + runs


def _values(rollout: RolloutRef, draws: Sequence[Draw]) -> dict[str, object]:
    return {
        "rollout": rollout.rollout,
        "namespace": rollout.namespace,
        "doer": rollout.doer,
        "run": [draw.run_id for draw in draws],
        "unit": [draw.unit_id for draw in draws],
        "arm": [draw.arm for draw in draws],
        "policy": [draw.policy for draw in draws],
        "propensity": [draw.propensity for draw in draws],
        "revision": [draw.revision for draw in draws],
        "epoch": [draw.epoch for draw in draws],
        "propensities": [json.dumps(dict(draw.propensities)) for draw in draws],
    }


def _first_of_each(draws: Sequence[Draw]) -> list[Draw]:
    """Without repetitions of a run or a unit within the batch: the first draw stands."""
    runs: set[str] = set()
    units: set[str] = set()
    first = []
    for draw in draws:
        if draw.run_id not in runs and draw.unit_id not in units:
            first.append(draw)
            runs.add(draw.run_id)
            units.add(draw.unit_id)
    return first


def _answer(draw: Draw, *, by_run: dict[str, _Row], by_unit: dict[str, _Row]) -> Registered | None:
    own = by_run.get(draw.run_id)
    row = own or by_unit.get(draw.unit_id)
    if row is None:
        return None
    return Registered(
        arm=row[2],
        policy=row[3],
        propensity=row[4],
        revision=row[5],
        counts=own is not None,
    )

"""Pairs of the shadow stage: opened before the candidate runs, told once, resolved in order."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson
import psycopg

from learnops.adapters.postgres.connection import Connection, Pool, transaction
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.runs import RunKey
from learnops.domain.observed import Key
from learnops.ports.runlog import PairRows, RunLogRestoredError

_LOCK = """
SELECT next_pair FROM shadow_deployments
WHERE id = %s AND namespace = %s AND doer = %s AND ended_at IS NULL FOR UPDATE
"""

# Not opened: a run that already has a pair, in this rollout or in another.
_OPEN = """
WITH fresh AS (
    SELECT i.run_id, row_number() OVER (ORDER BY i.position) AS offset_
    FROM unnest(%(run)s::text[]) WITH ORDINALITY AS i (run_id, position)
    WHERE NOT EXISTS (SELECT 1 FROM shadow_pairs p
                      WHERE p.namespace = %(namespace)s AND p.run_id = i.run_id OFFSET 0)
), added AS (
    INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id)
    SELECT %(rollout)s, %(next)s + f.offset_ - 1, %(namespace)s, %(doer)s, f.run_id FROM fresh f
    RETURNING run_id
), bumped AS (
    UPDATE shadow_deployments SET next_pair = next_pair + (SELECT count(*) FROM added)
    WHERE id = %(rollout)s
)
SELECT run_id FROM added
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair that was opened, and the policy that runs in it beside control."""

    rollout: str
    doer: str
    candidate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The candidate's side of one pair, scored; `breakdown` is JSON."""

    namespace: str
    run_id: str
    doer: str
    loss: float
    breakdown: dict[str, object]
    content_hash: bytes

    @property
    def key(self) -> RunKey:
        """What the pair is found by."""
        return self.namespace, self.run_id


async def open_pairs(pool: Pool, *, rollout: RolloutRef, run_ids: Sequence[str]) -> list[str]:
    """Number the pairs of these runs in their order; the runs whose pair is open because of it.

    Empty where the rollout is unknown or has ended. Raises DatabaseUnavailableError.
    """
    try:
        return await _open(pool, rollout=rollout, run_ids=run_ids)
    except psycopg.errors.UniqueViolation:
        # Another rollout opened one of them in the meantime; now it is seen.
        return await _open(pool, rollout=rollout, run_ids=run_ids)


async def _open(pool: Pool, *, rollout: RolloutRef, run_ids: Sequence[str]) -> list[str]:
    async with transaction(pool) as connection:
        cursor = await connection.execute(_LOCK, (rollout.rollout, rollout.namespace, rollout.doer))
        held = await cursor.fetchone()
        if held is None:
            return []
        cursor = await connection.execute(
            _OPEN,
            {
                "rollout": rollout.rollout,
                "namespace": rollout.namespace,
                "doer": rollout.doer,
                "next": held[0],
                "run": list(dict.fromkeys(run_ids)),
            },
        )
        return [row[0] for row in await cursor.fetchall()]


_FOUND = """
SELECT p.run_id, p.rollout, p.doer, d.candidate_policy_id
FROM shadow_pairs p JOIN shadow_deployments d ON d.id = p.rollout
WHERE p.namespace = %s AND p.run_id = ANY(%s)
"""


async def pairs_of(pool: Pool, *, namespace: str, run_ids: Sequence[str]) -> dict[str, Pair]:
    """The pairs of those runs that have one. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        cursor = await connection.execute(_FOUND, (namespace, list(run_ids)))
        rows = await cursor.fetchall()
    return {
        row[0]: Pair(
            rollout=row[1],
            doer=row[2],
            candidate=row[3],
        )
        for row in rows
    }


async def tell(pool: Pool, *, told: Sequence[Told]) -> dict[RunKey, bytes]:
    """Store what candidates told, once, in one transaction; the keys must not repeat.

    Returns, of the pairs that had been told before, the hash that is stored; what is not there was
    new. Raises DatabaseUnavailableError; repeating is safe.
    """
    if not told:
        return {}
    async with transaction(pool) as connection:
        cursor = await connection.execute(_TELL, (_document(told),))
        new = {(row[0], row[1]) for row in await cursor.fetchall()}
        known = [it.key for it in told if it.key not in new]
        if not known:
            return {}
        columns = ([key[0] for key in known], [key[1] for key in known])
        cursor = await connection.execute(_HELD, columns)
        return {(row[0], row[1]): bytes(row[2]) for row in await cursor.fetchall()}


def _document(told: Sequence[Told]) -> str:
    rows = [asdict(it) | {"content_hash": it.content_hash.hex()} for it in told]
    return orjson.dumps(rows).decode()


# Locked in the order of the keys, each by one look-up: two batches with the same runs queue up
# behind one another instead of locking each other out.
_TELL = """
WITH input AS (
    SELECT * FROM json_to_recordset(%s::json) AS i (
        namespace text, run_id text, loss float8, breakdown jsonb, content_hash text)
), open AS (
    SELECT p.rollout, p.seq, i.loss, i.breakdown, i.content_hash
    FROM (SELECT * FROM input ORDER BY namespace, run_id) i CROSS JOIN LATERAL (
        SELECT rollout, seq FROM shadow_pairs
        WHERE namespace = i.namespace AND run_id = i.run_id AND content_hash IS NULL
        LIMIT 1 FOR UPDATE
    ) p
)
UPDATE shadow_pairs p
SET reported_loss = open.loss, breakdown = open.breakdown,
    content_hash = decode(open.content_hash, 'hex')
FROM open WHERE p.rollout = open.rollout AND p.seq = open.seq AND p.content_hash IS NULL
RETURNING p.namespace, p.run_id
"""

_HELD = """
SELECT p.namespace, p.run_id, p.content_hash
FROM unnest(%s::text[], %s::text[]) AS i (namespace, run_id)
CROSS JOIN LATERAL (
    SELECT * FROM shadow_pairs
    WHERE namespace = i.namespace AND run_id = i.run_id AND content_hash IS NOT NULL LIMIT 1
) p
"""

# First wins: both sides are there, or the time is up and a side that is missing counts 1. At most
# 5,000 of each are read at once; the next look takes the rest. Each half has its index, so that
# pairs that are open and wait are not read; a LIMIT keeps every score one look-up by key.
_RESOLVE = """
WITH found AS (
    SELECT t.seq FROM (
        SELECT seq, namespace, run_id FROM shadow_pairs
        WHERE rollout = %(rollout)s AND resolved_at IS NULL AND reported_loss IS NOT NULL
        ORDER BY seq LIMIT 5000
    ) t CROSS JOIN LATERAL (
        SELECT 1 FROM crl_results WHERE namespace = t.namespace AND run_id = t.run_id LIMIT 1
    ) c
    UNION
    SELECT o.seq FROM shadow_deployments d CROSS JOIN LATERAL (
        SELECT seq FROM shadow_pairs
        WHERE rollout = d.id AND resolved_at IS NULL
          AND registered_at <= now() - make_interval(secs => d.maturation_seconds)
        ORDER BY registered_at LIMIT 5000
    ) o WHERE d.id = %(rollout)s
), due AS (
    SELECT p.rollout, p.seq, p.reported_loss, p.namespace, p.run_id
    FROM shadow_pairs p
    WHERE p.rollout = %(rollout)s AND p.seq = ANY(ARRAY(SELECT seq FROM found))
      AND p.resolved_at IS NULL
    ORDER BY p.seq FOR UPDATE SKIP LOCKED
)
UPDATE shadow_pairs p
SET resolved_at = clock_timestamp(), candidate_loss = coalesce(due.reported_loss, 1),
    control_loss = coalesce((SELECT loss FROM crl_results
                             WHERE namespace = due.namespace AND run_id = due.run_id LIMIT 1), 1)
FROM due
WHERE p.rollout = %(rollout)s AND p.seq = due.seq AND p.resolved_at IS NULL
"""

_STOP = """
SELECT o.seq, extract(epoch FROM o.registered_at + make_interval(secs => d.maturation_seconds)
                      - clock_timestamp())::float8
FROM shadow_deployments d LEFT JOIN LATERAL (
    SELECT seq, registered_at FROM shadow_pairs
    WHERE rollout = d.id AND resolved_at IS NULL ORDER BY seq LIMIT 1
) o ON true
WHERE d.id = %(rollout)s
"""

_READ = """
SELECT seq, candidate_loss, control_loss FROM shadow_pairs
WHERE rollout = %(rollout)s AND seq > %(after)s AND seq < coalesce(%(stop)s, seq + 1)
ORDER BY seq LIMIT %(limit)s
"""


async def resolve_pairs(connection: Connection, *, rollout: str) -> None:
    """Freeze the losses of the pairs that are complete or whose time is up."""
    await connection.execute(_RESOLVE, {"rollout": rollout})


def unknown_rollout(key: Key, rollout: str) -> RunLogRestoredError:
    """The error of a rollout that is not there; it was opened before it had any traffic."""
    return RunLogRestoredError(
        f"rollout {rollout} of {key} is not in the run log, in which it was opened: an older "
        "database was restored. It is opened again and judged by the runs that come from now on"
    )


async def read_pairs(
    connection: Connection, *, key: Key, rollout: str, after: int, limit: int
) -> PairRows:
    """The resolved pairs after a number, without a gap.

    Raises RunLogRestoredError where the rollout is not known.
    """
    cursor = await connection.execute(_STOP, {"rollout": rollout})
    found = await cursor.fetchone()
    if found is None:
        raise unknown_rollout(key, rollout)
    values = {"rollout": rollout, "after": after, "stop": found[0], "limit": limit}
    rows = await (await connection.execute(_READ, values)).fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * 3
    return PairRows(
        seq=columns[0],
        candidate_loss=columns[1],
        control_loss=columns[2],
        next_timeout_seconds=None if found[1] is None else max(found[1], 0.0),
    )

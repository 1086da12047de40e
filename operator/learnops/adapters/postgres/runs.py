"""Runs and their losses: stored once, resolved in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from learnops.adapters.postgres import drift
from learnops.adapters.postgres.connection import Connection, Pool, pipelined, read
from learnops.adapters.postgres.signals import RunSignals, add_of_bundles
from learnops.adapters.postgres.units import RESOLVE_RUNS, TERM_COLUMNS

RunKey = tuple[str, str]  # namespace, run id


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What was registered for a run."""

    rollout: str
    doer: str
    arm: str
    policy: str
    propensity: float
    revision: int
    generation: int  # the analysis generation that its number falls into


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A scored run, ready to be stored. `bundle`, `weights`, `breakdown` are JSON text.

    `void` asks to void the run's registration: the agent says that it ran control instead.
    """

    namespace: str
    run_id: str
    doer: str
    policy: str
    arm: str
    propensity: float
    revision: int
    rollout: str | None
    tenant: str | None
    duration_milliseconds: float | None
    cost_usd: float | None
    bundle: str
    content_hash: bytes
    loss: float
    weights: str
    breakdown: str
    partial: bool
    void: bool
    terms: dict[str, float] = field(default_factory=dict)  # extra terms are in the breakdown alone
    signals: RunSignals | None = None  # what the bundle says of quality; no part of the evidence

    @property
    def key(self) -> RunKey:
        return (self.namespace, self.run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run that is already there."""

    content_hash: bytes
    loss: float
    weights: dict[str, float]
    breakdown: dict[str, Any]
    partial: bool
    row: dict[str, Any] = field(default_factory=dict)


_REGISTRATIONS = """
SELECT t.namespace, t.run_id, t.rollout, t.doer, t.arm, t.policy, t.propensity, t.revision,
       coalesce((SELECT max(g.generation) FROM rollout_generations g
                 WHERE g.rollout = t.rollout AND g.first_seq <= t.seq), 1)
FROM unnest(%(namespace)s::text[], %(run)s::text[]) AS i (namespace, run_id)
CROSS JOIN LATERAL (
    SELECT * FROM deployment_routings
    WHERE namespace = i.namespace AND run_id = i.run_id LIMIT 1
) t
UNION ALL
SELECT u.namespace, u.run_id, t.rollout, t.doer, t.arm, t.policy, t.propensity, t.revision,
       coalesce((SELECT max(g.generation) FROM rollout_generations g
                 WHERE g.rollout = t.rollout AND g.first_seq <= t.seq), 1)
FROM unnest(%(namespace)s::text[], %(run)s::text[]) AS i (namespace, run_id)
CROSS JOIN LATERAL (
    SELECT * FROM unit_runs WHERE namespace = i.namespace AND run_id = i.run_id LIMIT 1
) u
CROSS JOIN LATERAL (
    SELECT * FROM deployment_routings WHERE rollout = u.rollout AND seq = u.seq LIMIT 1
) t
"""

_TERMS = ", ".join(TERM_COLUMNS.values())

# Written in the order of the keys everywhere, so that two batches with the same runs queue up
# behind one another instead of locking each other out. The rows travel as one JSON text: an array
# parameter per column costs the client several times as much.
_INSERT = f"""
WITH input AS (
    SELECT * FROM json_to_recordset(%s::json) AS i (
        namespace text, run_id text, doer text, policy text, arm text, propensity float8,
        revision bigint, rollout text, tenant text, duration_milliseconds float8, cost_usd float8,
        bundle jsonb, content_hash text, loss float8, weights jsonb, breakdown jsonb, partial bool,
        {", ".join(f"{column} float8" for column in TERM_COLUMNS.values())})
), added AS (
    INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, tenant,
                      duration_milliseconds, cost_usd, bundle, content_hash)
    SELECT namespace, run_id, doer, policy, arm, propensity, revision, rollout, tenant,
           duration_milliseconds, cost_usd, bundle, decode(content_hash, 'hex')
    FROM input ORDER BY namespace, run_id
    ON CONFLICT (namespace, run_id) DO NOTHING
    RETURNING namespace, run_id
)
INSERT INTO crl_results (namespace, run_id, loss_value, loss, weights, breakdown, partial, {_TERMS})
SELECT i.namespace, i.run_id, i.loss, i.loss, i.weights, i.breakdown, i.partial, {_TERMS}
FROM input i JOIN added a ON a.namespace = i.namespace AND a.run_id = i.run_id
RETURNING namespace, run_id
"""  # noqa: S608 - column names are constants of this file

# Locked in the order of the keys, each by one look-up.
_RESOLVE = """
WITH input AS (
    SELECT * FROM unnest(%(namespace)s::text[], %(run_id)s::text[], %(loss)s::float8[],
                         %(void)s::bool[]) AS i (namespace, run_id, loss, void)
), open AS (
    SELECT t.rollout, t.seq, i.loss, i.void
    FROM (SELECT * FROM input ORDER BY namespace, run_id) i CROSS JOIN LATERAL (
        SELECT rollout, seq FROM deployment_routings
        WHERE namespace = i.namespace AND run_id = i.run_id
          AND resolved_at IS NULL AND window_ends_at IS NULL
        LIMIT 1 FOR UPDATE
    ) t
)
UPDATE deployment_routings t
SET resolved_at = clock_timestamp(),
    resolution = CASE WHEN open.void THEN 'Void' ELSE 'Bundle' END,
    loss = CASE WHEN open.void THEN NULL ELSE open.loss END
FROM open WHERE t.rollout = open.rollout AND t.seq = open.seq AND t.resolved_at IS NULL
"""

_STORED = """
SELECT r.namespace, r.run_id, r.content_hash, c.loss, c.weights, c.breakdown, c.partial,
       to_jsonb(r) - 'content_hash'
FROM unnest(%s::text[], %s::text[]) AS i (namespace, run_id)
CROSS JOIN LATERAL (
    SELECT * FROM runs WHERE namespace = i.namespace AND run_id = i.run_id LIMIT 1
) r
CROSS JOIN LATERAL (
    SELECT * FROM crl_results WHERE namespace = i.namespace AND run_id = i.run_id LIMIT 1
) c
"""


async def registrations(pool: Pool, *, keys: Sequence[RunKey]) -> dict[RunKey, Registration]:
    """The registrations of those runs that have one. Raises DatabaseUnavailableError."""
    namespaces, run_ids = _columns(keys)
    rows = await read(pool, _REGISTRATIONS, {"namespace": namespaces, "run": run_ids})
    return {
        (row[0], row[1]): Registration(
            rollout=row[2],
            doer=row[3],
            arm=row[4],
            policy=row[5],
            propensity=row[6],
            revision=row[7],
            generation=row[8],
        )
        for row in rows
    }


async def store(pool: Pool, *, rows: Sequence[RunRow]) -> set[RunKey]:
    """Store runs and number or resolve them in one transaction; keys must not repeat.

    Returns the keys that are new; of the others the first write stands and nothing is resolved.

    Raises:
        DatabaseUnavailableError: nothing may be assumed; repeating is safe.
    """
    async with pipelined(pool) as connection:
        cursor = await connection.execute(_INSERT, (_document(rows),))
        # Locked whether new or not: waiting for what is new would cost another round trip.
        watches = await drift.lock(connection, doers={_doer(row) for row in rows if _outside(row)})
        added = {(row[0], row[1]) for row in await cursor.fetchall()}
        losses = [_loss_of(row) for row in rows if row.key in added and _outside(row)]
        await drift.number(connection, watches=watches, runs=losses)
        await _resolve(connection, rows=[row for row in rows if row.key in added and row.rollout])
        told = [row.signals for row in rows if row.signals and row.key in added]
        await add_of_bundles(connection, runs=told)
    return added


async def stored(pool: Pool, *, keys: Sequence[RunKey]) -> dict[RunKey, StoredRun]:
    """Those of the runs that are stored. Raises DatabaseUnavailableError."""
    rows = await read(pool, _STORED, _columns(keys))
    return {
        (row[0], row[1]): StoredRun(
            content_hash=bytes(row[2]),
            loss=row[3],
            weights=row[4],
            breakdown=row[5],
            partial=row[6],
            row=row[7],
        )
        for row in rows
    }


async def _resolve(connection: Connection, *, rows: Sequence[RunRow]) -> None:
    if not rows:
        return
    values = {
        "namespace": [row.namespace for row in rows],
        "run_id": [row.run_id for row in rows],
        "loss": [row.loss for row in rows],
        "void": [row.void for row in rows],
    }
    await connection.execute(_RESOLVE, values)
    await connection.execute(RESOLVE_RUNS, values)


def _outside(row: RunRow) -> bool:
    """No evidence of a rollout: the rollout numbers its runs itself."""
    return row.rollout is None


def _doer(row: RunRow) -> tuple[str, str]:
    return row.namespace, row.doer


def _loss_of(row: RunRow) -> drift.StoredLoss:
    return drift.StoredLoss(
        namespace=row.namespace,
        doer=row.doer,
        policy=row.policy,
        revision=row.revision,
        run_id=row.run_id,
        loss=row.loss,
    )


def _columns(keys: Sequence[RunKey]) -> tuple[list[str], list[str]]:
    return [key[0] for key in keys], [key[1] for key in keys]


_FIELDS = (
    "namespace",
    "run_id",
    "doer",
    "policy",
    "arm",
    "propensity",
    "revision",
    "rollout",
    "tenant",
    "duration_milliseconds",
    "cost_usd",
    "loss",
    "partial",
)
_TEXTS = ("bundle", "weights", "breakdown")


def _document(rows: Sequence[RunRow]) -> str:
    return orjson.dumps([_values(row) for row in rows]).decode()


def _values(row: RunRow) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    values["content_hash"] = row.content_hash.hex()
    # What is JSON already is put in as it is.
    for name in _TEXTS:
        values[name] = orjson.Fragment(getattr(row, name))
    for term, column in TERM_COLUMNS.items():
        if term in row.terms:
            values[column] = row.terms[term]
    return values

"""Signals of runs and the reward that they make: appended under one lock a run.

Nothing of the evidence is read or written here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from learnops.adapters.postgres.connection import Connection, Pool, transaction
from learnops.domain.bundle_limits import ERASED, MAX_LATER
from learnops.domain.reward import Reward, reward

RunKey = tuple[str, str]  # namespace, run id


class UnknownRunError(Exception):
    """The run was neither registered nor reported."""


class OtherDoerError(Exception):
    """The run is of another doer than it is said to be."""


class KeyTakenError(Exception):
    """A signal has the key of another one; `position` is its place in what was appended."""

    def __init__(self, position: int) -> None:
        super().__init__(f"signal {position} has the key of another one")
        self.position = position


class TooManySignalsError(Exception):
    """The run would have more than MAX_LATER; `held` is how many it has."""

    def __init__(self, held: int) -> None:
        super().__init__(f"the run has {held} signals")
        self.held = held


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal as it is stored; `key` None: it came with the bundle."""

    name: str
    value: float
    source: str = ""
    note: str = ""
    key: str | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSignals:
    """Signals of one run to be appended, and the doer's weights that are in force now."""

    namespace: str
    run_id: str
    doer: str
    signals: Sequence[Signal]
    weights: Mapping[str, float]

    @property
    def key(self) -> RunKey:
        return (self.namespace, self.run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReward:
    """The reward of a run as it is stored; `value` None: no signal that has a weight."""

    value: float | None
    weights: dict[str, float]
    breakdown: dict[str, Any]
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of it: whether each signal is new, and the run's reward now."""

    new: tuple[bool, ...]
    reward: StoredReward


# A tenant that is being erased waits for this transaction, or this one for that: what is written
# here is either seen there or blank already.
_DOER = """
SELECT doer, tenant FROM (
    SELECT doer, tenant FROM runs
    WHERE namespace = %(namespace)s AND run_id = %(run_id)s FOR SHARE
) reported
UNION ALL
SELECT doer, NULL FROM deployment_routings
WHERE namespace = %(namespace)s AND run_id = %(run_id)s
UNION ALL
SELECT t.doer, NULL FROM unit_runs u
JOIN deployment_routings t ON t.rollout = u.rollout AND t.seq = u.seq
WHERE u.namespace = %(namespace)s AND u.run_id = %(run_id)s
LIMIT 1
"""

# Makes the row or locks it. In the order of the keys, as all who lock several do. What is sent
# apart may be of a run that never reports, so that retention has to look for it.
_LOCK = """
INSERT INTO run_rewards (namespace, run_id, doer, sent_apart)
SELECT *, %s::bool FROM unnest(%s::text[], %s::text[], %s::text[]) AS i (namespace, run_id, doer)
ORDER BY namespace, run_id
ON CONFLICT (namespace, run_id)
    DO UPDATE SET doer = excluded.doer, sent_apart = excluded.sent_apart
"""

_HELD = """
SELECT key, name, value, source, note, observed_at FROM signals
WHERE namespace = %s AND run_id = %s AND origin = 'Later'
"""

# One statement for many rows, numbered in their order.
_INSERT = """
INSERT INTO signals (namespace, run_id, doer, origin, name, value, source, note, key, observed_at)
SELECT namespace, run_id, doer, CASE WHEN key IS NULL THEN 'Bundle' ELSE 'Later' END,
       name, value, source, note, key, observed_at
FROM json_to_recordset(%s::json) AS i (
    place int, namespace text, run_id text, doer text, name text, value float8, source text,
    note text, key text, observed_at timestamptz)
ORDER BY place
"""

# What is sent apart stands over what the bundle says, whichever came first: a bundle may arrive
# late, and it is the run's own word.
_LATEST = """
SELECT DISTINCT ON (s.namespace, s.run_id, s.name) s.namespace, s.run_id, s.name, s.value
FROM unnest(%s::text[], %s::text[]) AS i (namespace, run_id)
JOIN signals s ON s.namespace = i.namespace AND s.run_id = i.run_id
ORDER BY s.namespace, s.run_id, s.name, s.origin = 'Later' DESC, s.id DESC
"""

_WRITE = """
UPDATE run_rewards w
SET reward = i.reward, weights = i.weights, breakdown = i.breakdown, partial = i.partial,
    rewarded_at = clock_timestamp()
FROM json_to_recordset(%s::json) AS i (
    namespace text, run_id text, reward float8, weights jsonb, breakdown jsonb, partial bool)
WHERE w.namespace = i.namespace AND w.run_id = i.run_id
"""

_SIGNALS = """
SELECT name, value, source, note, key, origin, observed_at, received_at
FROM signals WHERE namespace = %s AND run_id = %s ORDER BY id
"""

_REWARD = """
SELECT reward, weights, breakdown, partial FROM run_rewards WHERE namespace = %s AND run_id = %s
"""


async def append(pool: Pool, *, run: RunSignals) -> Appended:
    """Append signals that come later: all of them or, where this raises, none.

    A signal whose key the run has already, with the same content, is not stored again. Of a run
    whose tenant was erased, `source` and `note` are dropped.

    Raises:
        UnknownRunError, OtherDoerError: the run cannot have them.
        KeyTakenError, TooManySignalsError: these signals cannot be.
        DatabaseUnavailableError: nothing may be assumed; repeating is safe.
    """
    async with transaction(pool) as connection:
        if await _checked_tenant(connection, run) == ERASED:
            blank = [replace(it, source="", note="") for it in run.signals]
            run = replace(run, signals=blank)
        await _lock(connection, [run], apart=True)
        cursor = await connection.execute(_HELD, run.key)
        held = {
            row[0]: Signal(
                key=row[0],
                name=row[1],
                value=row[2],
                source=row[3],
                note=row[4],
                observed_at=row[5],
            )
            for row in await cursor.fetchall()
        }
        new = _news(run.signals, held=held)
        if any(new):
            fresh = [it for it, is_new in zip(run.signals, new, strict=True) if is_new]
            await _insert(connection, [replace(run, signals=fresh)])
            await _recompute(connection, [run])
        reward_now = await _stored(connection, run.key)
    assert reward_now is not None  # its row is the lock
    return Appended(new=new, reward=reward_now)


async def add_of_bundles(connection: Connection, *, runs: Sequence[RunSignals]) -> None:
    """Within the transaction that stores these runs for the first time: their own signals."""
    if runs:
        await _lock(connection, runs, apart=False)
        await _insert(connection, runs)
        await _recompute(connection, runs)


async def of_run(pool: Pool, *, key: RunKey) -> tuple[list[dict[str, Any]], StoredReward | None]:
    """A run's signals in the order of arrival, and its reward. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        cursor = await connection.execute(_SIGNALS, key)
        names = ("name", "value", "source", "note", "key", "origin", "observedAt", "receivedAt")
        signals = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
        return signals, await _stored(connection, key)


async def _stored(connection: Connection, key: RunKey) -> StoredReward | None:
    cursor = await connection.execute(_REWARD, key)
    row = await cursor.fetchone()
    if row is None:
        return None
    return StoredReward(value=row[0], weights=row[1], breakdown=row[2], partial=row[3])


async def _checked_tenant(connection: Connection, run: RunSignals) -> str | None:
    """Who the run was for, None if it did not say or was not reported yet."""
    cursor = await connection.execute(_DOER, {"namespace": run.namespace, "run_id": run.run_id})
    row = await cursor.fetchone()
    if row is None:
        raise UnknownRunError
    if row[0] != run.doer:
        raise OtherDoerError
    tenant: str | None = row[1]
    return tenant


def _news(signals: Sequence[Signal], *, held: Mapping[str | None, Signal]) -> tuple[bool, ...]:
    known = dict(held)
    new: list[bool] = []
    for position, signal in enumerate(signals):
        there = known.setdefault(signal.key, signal)
        if there != signal:
            raise KeyTakenError(position)
        new.append(there is signal)
    if len(known) > MAX_LATER:
        raise TooManySignalsError(len(held))
    return tuple(new)


async def _lock(connection: Connection, runs: Sequence[RunSignals], *, apart: bool) -> None:
    columns = ([it.namespace for it in runs], [it.run_id for it in runs], [it.doer for it in runs])
    await connection.execute(_LOCK, (apart, *columns))


async def _insert(connection: Connection, runs: Sequence[RunSignals]) -> None:
    rows: list[dict[str, Any]] = []
    for run in runs:
        for signal in run.signals:
            at = signal.observed_at
            values = {
                "name": signal.name,
                "value": signal.value,
                "source": signal.source,
                "note": signal.note,
                "key": signal.key,
                "observed_at": None if at is None else at.isoformat(),
            }
            whose = {"namespace": run.namespace, "run_id": run.run_id, "doer": run.doer}
            rows.append({"place": len(rows), **whose, **values})
    await connection.execute(_INSERT, (json.dumps(rows),))


async def _recompute(connection: Connection, runs: Sequence[RunSignals]) -> None:
    columns = ([it.namespace for it in runs], [it.run_id for it in runs])
    cursor = await connection.execute(_LATEST, columns)
    latest: dict[RunKey, dict[str, float]] = {run.key: {} for run in runs}
    for namespace, run_id, name, value in await cursor.fetchall():
        latest[(namespace, run_id)][name] = value
    rows = [
        {
            "namespace": run.namespace,
            "run_id": run.run_id,
            "reward": None if known is None else known.value,
            "weights": dict(run.weights),
            "breakdown": _breakdown(known),
            "partial": known is None or known.partial,
        }
        for run in runs
        for known in [reward(latest[run.key], weights=run.weights)]
    ]
    await connection.execute(_WRITE, (json.dumps(rows),))


def _breakdown(known: Reward | None) -> dict[str, Any]:
    if known is None:
        return {"terms": [], "missing": []}
    return {"terms": [asdict(line) for line in known.lines], "missing": list(known.missing)}

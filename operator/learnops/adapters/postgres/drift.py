"""The watch of an active policy: its runs in an order, and the detector's state beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from learnops.adapters.postgres.connection import Connection, Cursor
from learnops.domain.observed import Key
from learnops.ports.runlog import DriftRows, DriftWatch

# Locked in one order, so that two batches queue up behind one another. After its alarm a watch is
# read no more, and so nothing is numbered for it.
_LOCK = """
SELECT w.namespace, w.doer, w.watch, w.policy, w.since_revision, w.next_seq
FROM drift_watches w
WHERE (w.namespace, w.doer) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
  AND NOT w.alarmed
ORDER BY w.namespace, w.doer FOR UPDATE
"""

_NUMBER = """
WITH input AS (
    SELECT * FROM unnest(%(namespace)s::text[], %(doer)s::text[], %(watch)s::text[],
                         %(seq)s::bigint[], %(run_id)s::text[], %(loss)s::float8[])
        AS i (namespace, doer, watch, seq, run_id, loss)
), added AS (
    INSERT INTO drift_runs (namespace, doer, watch, seq, run_id, loss) SELECT * FROM input
)
UPDATE drift_watches w SET next_seq = n.last + 1
FROM (SELECT namespace, doer, max(seq) AS last FROM input GROUP BY namespace, doer) n
WHERE w.namespace = n.namespace AND w.doer = n.doer
"""

# A replaced operator must not bring an older promotion back: within one doer the revision only
# rises. A watch may come back all the same (weights that are set back): it begins after the runs
# that it had, whose numbers are taken.
_OPEN = """
INSERT INTO drift_watches AS w (namespace, doer, watch, policy, since_revision, next_seq, watermark)
SELECT %(namespace)s, %(doer)s, %(watch)s, %(policy)s, %(since)s, taken + 1, taken
FROM (SELECT coalesce(max(seq), 0) AS taken FROM drift_runs
      WHERE namespace = %(namespace)s AND doer = %(doer)s AND watch = %(watch)s) before
ON CONFLICT (namespace, doer) DO UPDATE SET
    watch = excluded.watch, policy = excluded.policy, since_revision = excluded.since_revision,
    next_seq = excluded.next_seq, watermark = excluded.watermark, state = NULL,
    alarmed = false
WHERE w.watch <> excluded.watch AND (w.since_revision <= excluded.since_revision
    OR split_part(w.watch, '.', 1) <> split_part(excluded.watch, '.', 1))
"""

_STATE = """
SELECT state, watermark, alarmed FROM drift_watches
WHERE namespace = %s AND doer = %s AND watch = %s
"""

_ROWS = """
SELECT seq, loss FROM drift_runs
WHERE namespace = %s AND doer = %s AND watch = %s AND seq > %s ORDER BY seq LIMIT %s
"""

_SAVE = """
UPDATE drift_watches SET state = %s, watermark = %s, alarmed = %s
WHERE namespace = %s AND doer = %s AND watch = %s AND watermark < %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLoss:
    """A run outside rollouts that has just been stored."""

    namespace: str
    doer: str
    policy: str
    revision: int
    run_id: str
    loss: float


async def lock(connection: Connection, *, doers: set[tuple[str, str]]) -> Cursor | None:
    """Lock the watches of these doers (namespace, name) until the transaction ends."""
    if not doers:
        return None
    columns = tuple(list(part) for part in zip(*sorted(doers), strict=True))
    return await connection.execute(_LOCK, columns)


async def number(
    connection: Connection, *, watches: Cursor | None, runs: Sequence[StoredLoss]
) -> None:
    """Number those of the runs that are watched, in the transaction that stores them.

    `watches` is what `lock` gave for their doers.
    """
    if watches is None or not runs:
        return
    watched = {(row[0], row[1]): row[2:] for row in await watches.fetchall()}
    numbered = [one for key, watch in watched.items() for one in _numbered(key, watch, runs)]
    if numbered:
        names = ("namespace", "doer", "watch", "seq", "run_id", "loss")
        columns = (list(column) for column in zip(*numbered, strict=True))
        await connection.execute(_NUMBER, dict(zip(names, columns, strict=True)))


def _numbered(
    key: tuple[str, str], row: tuple[str, str, int, int], runs: Sequence[StoredLoss]
) -> list[tuple[str, str, str, int, str, float]]:
    watch, policy, since_revision, next_seq = row
    mine = [
        run
        for run in runs
        if (run.namespace, run.doer, run.policy) == (*key, policy)
        and run.revision >= since_revision
    ]
    return [
        (*key, watch, seq, run.run_id, run.loss) for seq, run in enumerate(mine, start=next_seq)
    ]


async def open_and_read(
    connection: Connection, *, key: Key, watch: DriftWatch, limit: int
) -> DriftRows | None:
    """Open the watch unless it is, then read on from its watermark; nothing after its alarm.

    None: a newer watch of the doer is open.
    """
    of = (key.namespace, key.doer, watch.id)
    cursor = await connection.execute(_STATE, of)
    found = await cursor.fetchone()
    if found is None:
        values = {
            "namespace": key.namespace,
            "doer": key.doer,
            "watch": watch.id,
            "policy": watch.policy,
            "since": watch.since_revision,
        }
        await connection.execute(_OPEN, values)
        cursor = await connection.execute(_STATE, of)
        found = await cursor.fetchone()
    if found is None:
        return None
    rows: list[tuple[int, float]] = []
    if not found[2]:
        cursor = await connection.execute(_ROWS, (*of, found[1], limit))
        rows = await cursor.fetchall()
    return DriftRows(
        state=found[0],
        watermark=found[1],
        seq=[row[0] for row in rows],
        loss=[row[1] for row in rows],
    )


async def save(
    connection: Connection,
    *,
    key: Key,
    watch: DriftWatch,
    state: str,
    watermark: int,
    alarmed: bool,
) -> None:
    """Keep the detector's state; nothing where a later one is there, or another watch."""
    values = (state, watermark, alarmed, key.namespace, key.doer, watch.id, watermark)
    await connection.execute(_SAVE, values)

"""The rollouts of a doer and what was registered in them, for judging them once more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from numpy.typing import NDArray
from psycopg import sql

from learnops.adapters.postgres.whatif import Column, Reader, copied, numbers_of
from learnops.api.assignment import Unit

_ROLLOUTS = """
SELECT d.id, d.canary, d.canary_uid, d.unit, d.outcome, d.control_policy_id,
       coalesce(g.generation, 1), coalesce(g.first_seq, 1), coalesce(o.seq, d.next_seq)
FROM shadow_deployments d
LEFT JOIN LATERAL (
    SELECT generation, first_seq FROM rollout_generations
    WHERE rollout = d.id ORDER BY generation DESC LIMIT 1
) g ON true
LEFT JOIN LATERAL (
    SELECT seq FROM deployment_routings
    WHERE rollout = d.id AND resolved_at IS NULL ORDER BY seq LIMIT 1
) o ON true
WHERE d.namespace = %s AND d.doer = %s AND d.next_seq > 1
ORDER BY d.started_at DESC LIMIT %s
"""

_CANDIDATES = """
SELECT DISTINCT ON (policy) policy, attempt FROM rollout_candidates
WHERE rollout = %s ORDER BY policy, generation DESC
"""

_SCORES: LiteralString = """
LEFT JOIN runs r ON r.namespace = t.namespace AND r.run_id = t.run_id
LEFT JOIN crl_results c ON c.namespace = t.namespace AND c.run_id = t.run_id
"""
_REGISTERED: LiteralString = """
FROM deployment_routings t {scores}
WHERE t.rollout = {rollout} AND t.seq >= {first} AND t.seq < {stop} ORDER BY t.seq
"""
_OF_UNITS: LiteralString = """
FROM unit_runs t {scores}
WHERE t.rollout = {rollout} AND t.seq >= {first} AND t.seq < {stop} AND t.resolution <> 'Void'
ORDER BY t.seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """An attempt as it is on record.

    Attributes:
        first: number of the first registration in the newest analysis generation.
        stop: number of the first that is not resolved; what lies below has no gap.
        outcome: the stage that its canary came to; None: it has not ended.
        attempts: of each candidate, in the newest generation in which it was judged.
    """

    id: str
    canary: str
    canary_uid: str
    unit: Unit
    outcome: str | None
    control: str
    generation: int
    first: int
    stop: int
    attempts: dict[str, int]


def recent(connection: Reader, *, namespace: str, doer: str, last: int) -> list[Rollout]:
    """The last rollouts in which runs were registered, the newest first."""
    rows = connection.execute(_ROLLOUTS, (namespace, doer, last)).fetchall()
    return [_rollout(row, connection.execute(_CANDIDATES, (row[0],)).fetchall()) for row in rows]


def _rollout(row: Sequence[Any], candidates: Sequence[Sequence[Any]]) -> Rollout:
    rollout, canary, uid, unit, outcome, control, generation, first, stop = row
    return Rollout(
        id=rollout,
        canary=canary,
        canary_uid=uid,
        unit=Unit(unit),
        outcome=outcome,
        control=control,
        generation=generation,
        first=first,
        stop=stop,
        attempts={name: attempt for name, attempt in candidates},
    )


def registered(
    connection: Reader,
    rollout: Rollout,
    *,
    candidate: str,
    limit: int,
    columns: Sequence[Column],
) -> Iterator[NDArray[Any]]:
    """The newest generation as one candidate sees it, in order, at most `limit` units."""
    drawn = [*_drawn(candidate), *columns]
    yield from copied(connection, _query(_REGISTERED, rollout, drawn, limit=limit), drawn)


def runs_of_units(
    connection: Reader, rollout: Rollout, *, limit: int, columns: Sequence[Column]
) -> Iterator[NDArray[Any]]:
    """The runs of these units, where a unit is no run."""
    told = [_column("seq", "t.seq"), _column("told", "(t.resolution = 'Bundle')::int"), *columns]
    yield from copied(connection, _query(_OF_UNITS, rollout, told, limit=limit), told)


def _drawn(candidate: str) -> list[Column]:
    name = sql.Literal(candidate)
    arm = "CASE WHEN t.arm = 'control' THEN 0 WHEN t.policy = {name} THEN 1 ELSE 2 END"
    # A candidate that was dropped is not in the map any more: it could not be drawn.
    share = """CASE WHEN t.propensities IS NULL THEN t.propensity
               ELSE coalesce((t.propensities ->> {name})::float8, 0) END"""
    return [
        _column("seq", "t.seq"),
        Column(name="arm", source=sql.SQL(arm).format(name=name)),
        Column(name="propensity", source=sql.SQL(share).format(name=name)),
        _column("control", "1 - t.propensity"),
        _column("evidence", "coalesce(t.loss, 0)"),
        _column("void", "(t.resolution = 'Void')::int"),
        _column("told", "(t.resolution = 'Bundle')::int"),
    ]


def _column(name: str, source: LiteralString) -> Column:
    return Column(name=name, source=sql.SQL(source))


def _query(
    text: LiteralString, rollout: Rollout, columns: Sequence[Column], *, limit: int
) -> sql.Composed:
    return sql.SQL("SELECT {columns}" + text).format(
        columns=numbers_of(columns),
        scores=sql.SQL(_SCORES),
        rollout=sql.Literal(rollout.id),
        first=sql.Literal(rollout.first),
        stop=sql.Literal(min(rollout.stop, rollout.first + limit)),
    )

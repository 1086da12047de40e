"""Reading of the resolved prefix of a rollout."""

from collections.abc import Sequence
from typing import Any, LiteralString

from learnops.adapters.postgres import units
from learnops.adapters.postgres.connection import Connection
from learnops.adapters.postgres.generations import read_generations
from learnops.adapters.postgres.pairs import unknown_rollout
from learnops.adapters.postgres.units import TERM_COLUMNS
from learnops.api.assignment import Unit
from learnops.domain.crl.terms import Term
from learnops.domain.observed import Key
from learnops.ports.runlog import Generation, LogRows, RunLogRestoredError

_ROLLOUT = """
SELECT d.next_seq - 1, d.maturation_seconds, o.seq,
       extract(epoch FROM coalesce(greatest(o.window_ends_at, m.due_at),
                                   o.registered_at + make_interval(secs => d.maturation_seconds))
                          - clock_timestamp())::float8,
       d.unit
FROM shadow_deployments d
LEFT JOIN LATERAL (
    SELECT seq, registered_at, window_ends_at FROM deployment_routings
    WHERE rollout = d.id AND resolved_at IS NULL ORDER BY seq LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT max(registered_at) + make_interval(secs => d.maturation_seconds) AS due_at
    FROM unit_runs WHERE rollout = d.id AND seq = o.seq AND resolved_at IS NULL
) m ON d.unit <> 'Run'
WHERE d.id = %(rollout)s AND d.namespace = %(namespace)s AND d.doer = %(doer)s
"""

# `stop` is the first unresolved number: what lies below it is resolved without a gap.
_PREFIX = """
SELECT t.seq, t.arm = 'candidate' AND t.policy = %(candidate)s,
       t.arm = 'candidate' AND t.policy <> %(candidate)s,
       coalesce((t.propensities ->> %(candidate)s)::float8, t.propensity),
       1 - t.propensity, coalesce(t.loss, 0), t.resolution = 'Void',
       coalesce(t.timed_out, (t.resolution = 'Timeout')::int){columns}
FROM deployment_routings t {join}
WHERE t.rollout = %(rollout)s AND t.seq > %(after)s AND t.seq < %(stop)s
ORDER BY t.seq LIMIT %(limit)s
"""
_FIELDS = (
    "seq",
    "is_candidate",
    "is_other",
    "propensity",
    "control_propensity",
    "loss",
    "void",
    "timed_out",
)
_JOIN = "LEFT JOIN crl_results c ON c.namespace = t.namespace AND c.run_id = t.run_id"

# Registered in this order, so the oldest come first: a few tell whether any is overdue, where all
# of them are as many as a long log has rows.
_OVERDUE = """
SELECT count(*) FROM (
    SELECT registered_at, window_ends_at FROM deployment_routings
    WHERE rollout = %(rollout)s AND seq > %(held)s AND seq <= %(held)s + 1000
) oldest
WHERE coalesce(window_ends_at, registered_at) < clock_timestamp() - make_interval(secs => %(age)s)
"""


async def read_prefix(
    connection: Connection,
    *,
    key: Key,
    rollout: str,
    candidate: str,
    after: int,
    limit: int,
    grace_seconds: int,
    terms: Sequence[str],
) -> LogRows:
    """The resolved prefix as one candidate sees it. Raises RunLogRestoredError where the rollout
    is not there, or was not opened with it."""
    cursor = await connection.execute(
        _ROLLOUT, {"rollout": rollout, "namespace": key.namespace, "doer": key.doer}
    )
    found = await cursor.fetchone()
    if found is None:
        raise unknown_rollout(key, rollout)
    total, maturation, open_seq, next_timeout, unit = found
    of_units = bool(terms) and unit != Unit.RUN.value
    values = {
        "rollout": rollout,
        "candidate": candidate,
        "after": after,
        "stop": total + 1 if open_seq is None else open_seq,
        "limit": limit,
    }
    query = units.prefix_query(_PREFIX, terms) if of_units else _prefix_query(terms)
    rows = await (await connection.execute(query, values)).fetchall()
    generations = await _generations(connection, key, rollout, candidate=candidate)
    held = rows[-1][0] if rows else after
    return LogRows(
        **_columns(rows, terms),
        total=total,
        overdue=await _overdue(connection, rollout, held=held, age=maturation + grace_seconds),
        next_timeout_seconds=None if next_timeout is None else max(next_timeout, 0.0),
        generations=generations,
    )


async def _generations(
    connection: Connection, key: Key, rollout: str, *, candidate: str
) -> tuple[Generation, ...]:
    found = await read_generations(connection, rollout=rollout, candidate=candidate)
    if not found:
        raise RunLogRestoredError(
            f"rollout {rollout} of {key} is not in the run log with candidate {candidate}, with "
            "whom it was opened: an older database was restored"
        )
    return found


async def _overdue(connection: Connection, rollout: str, *, held: int, age: int) -> int:
    cursor = await connection.execute(_OVERDUE, {"rollout": rollout, "held": held, "age": age})
    found = await cursor.fetchone()
    return 0 if found is None else int(found[0])


def _columns(rows: Sequence[Sequence[Any]], terms: Sequence[str]) -> dict[str, Any]:
    """The fields of LogRows; of units each term is there twice, as mean and as worst."""
    columns = list(zip(*rows, strict=True)) or [()] * (len(_FIELDS) + len(terms))
    told = columns[len(_FIELDS) :]
    return {
        **dict(zip(_FIELDS, columns, strict=False)),
        "terms": dict(zip(terms, told[: len(terms)], strict=True)),
        "worst": dict(zip(terms, told[len(terms) :], strict=False)),
    }


def _prefix_query(terms: Sequence[str]) -> LiteralString:
    """Terms are asked for as columns of the run's score; of a bundle that came after its run timed
    out they are none, whenever the prefix is read."""
    columns: LiteralString = ""
    for name in terms:
        column = TERM_COLUMNS[Term(name)]
        columns += f", CASE WHEN t.resolution = 'Bundle' THEN c.{column} END"
    return _PREFIX.format(columns=columns, join=_JOIN if terms else "")

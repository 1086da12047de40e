"""The operator's port to the run log (`ports.runlog.RunLog`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg
from psycopg.types.json import Jsonb

from learnops.adapters.postgres import drift, units
from learnops.adapters.postgres.connection import (
    Connection,
    DatabaseUnavailableError,
    Pool,
    transaction,
)
from learnops.adapters.postgres.generations import (
    ATTEMPTS,
    open_generation,
    read_generations,
)
from learnops.adapters.postgres.pairs import read_pairs, resolve_pairs, unknown_rollout
from learnops.adapters.postgres.schema import SchemaMismatchError, check_schema
from learnops.adapters.postgres.timeouts import resolve_timeouts
from learnops.adapters.postgres.units import TERM_COLUMNS, resolve_units
from learnops.api.assignment import Unit
from learnops.api.policy import Stage
from learnops.domain.crl.terms import Term
from learnops.domain.observed import History, Key, Promotion
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout
from learnops.ports.runlog import (
    DriftRows,
    DriftWatch,
    LogRows,
    PairRows,
    RunLogUnavailableError,
)

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
_JOIN = "LEFT JOIN crl_results c ON c.namespace = t.namespace AND c.run_id = t.run_id"

_OVERDUE = """
SELECT count(*) FROM deployment_routings
WHERE rollout = %(rollout)s AND seq > %(held)s
  AND coalesce(window_ends_at, registered_at) < clock_timestamp() - make_interval(secs => %(age)s)
"""

_HISTORY = """
SELECT transition_id, policy_id, digest, identity, from_stage, to_stage, promoted_by, why, rollout
FROM policy_promotions WHERE namespace = %s AND doer = %s ORDER BY id
"""

_PROMOTE = """
INSERT INTO policy_promotions (transition_id, namespace, doer, policy_id, digest, identity,
                               from_stage, to_stage, promoted_by, why, rollout)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (namespace, doer, transition_id) DO NOTHING
"""

_OPEN = """
WITH opened AS (
    INSERT INTO shadow_deployments (id, namespace, doer, mode, candidate_policy_id,
        control_policy_id, allocation_pct, auto_promote, canary, canary_uid, identity, attempt,
        maturation_seconds, crl, unit, epoch_seconds)
    VALUES (%s, %s, %s, %s, %s, %s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), tried AS (
    INSERT INTO rollout_candidates (rollout, policy, identity, attempt)
    SELECT id, i.policy, i.identity, i.attempt
    FROM opened, unnest(%s::text[], %s::text[], %s::int[]) AS i (policy, identity, attempt)
)
INSERT INTO rollout_prefixes (rollout) SELECT id FROM opened
"""

_CLOSE = """
UPDATE shadow_deployments SET ended_at = clock_timestamp(), outcome = %s, allocation_pct = 0
WHERE id = %s AND namespace = %s AND doer = %s AND ended_at IS NULL
"""


class PostgresRunLog:
    """The run log in Postgres. Each call ends within `deadline_seconds`.

    The schema is checked on the first call that reaches the database, so the operator starts, and
    holds, while the database is away or too new.
    """

    def __init__(self, pool: Pool, *, deadline_seconds: float = 5.0) -> None:
        self._pool = pool
        self._deadline = deadline_seconds
        self._schema_checked = False

    async def resolved_prefix(
        self,
        *,
        key: Key,
        rollout: str,
        candidate: str,
        after: int,
        limit: int,
        grace_seconds: int,
        terms: Sequence[str] = (),
    ) -> LogRows:
        """Resolve the runs whose time is up, then read the resolved prefix with seq > `after`."""
        async with self._transaction() as connection:
            await resolve_timeouts(connection, rollouts=[rollout])
            await resolve_units(connection, rollouts=[rollout])
        async with self._transaction() as connection:
            # One snapshot for all statements: they must speak of the same prefix.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return await _read_prefix(
                connection,
                key=key,
                rollout=rollout,
                candidate=candidate,
                after=after,
                limit=limit,
                grace_seconds=grace_seconds,
                terms=terms,
            )

    async def shadow_pairs(self, *, key: Key, rollout: str, after: int, limit: int) -> PairRows:
        """Resolve the pairs that are complete or due, then read those with seq > `after`."""
        async with self._transaction() as connection:
            await resolve_pairs(connection, rollout=rollout)
        async with self._transaction() as connection:
            # One snapshot for both statements: they must speak of the same prefix.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return await read_pairs(connection, key=key, rollout=rollout, after=after, limit=limit)

    async def history(self, *, key: Key) -> History:
        """All stage moves of the doer's policies, oldest first."""
        async with self._transaction() as connection:
            cursor = await connection.execute(_HISTORY, (key.namespace, key.doer))
            rows = await cursor.fetchall()
        return History(promotions=tuple(_promotion(row) for row in rows))

    async def attempts(self, *, key: Key) -> dict[str, int]:
        """Rollouts and further generations opened so far, per identity of the candidate."""
        async with self._transaction() as connection:
            cursor = await connection.execute(
                ATTEMPTS, {"namespace": key.namespace, "doer": key.doer}
            )
            return {identity: count for identity, count in await cursor.fetchall()}

    async def record_promotions(self, *, key: Key, rows: Sequence[Promotion]) -> None:
        """Append stage moves, all or none; a transition id that is already there is skipped."""
        async with self._transaction() as connection:
            for row in rows:
                await connection.execute(_PROMOTE, _promotion_values(key, row))

    async def open_rollout(self, *, key: Key, rollout: OpenRollout) -> None:
        """Write the row of an attempt; idempotent by id."""
        candidates = rollout.candidates
        values = (
            rollout.rollout,
            key.namespace,
            key.doer,
            "canary" if rollout.percent else "shadow",
            candidates[0].name,
            rollout.control,
            rollout.percent * len(candidates),
            rollout.canary,
            rollout.canary_uid,
            candidates[0].identity,
            candidates[0].attempt,
            rollout.maturation_seconds,
            Jsonb(rollout.crl),
            rollout.unit.value,
            rollout.epoch_seconds,
            [it.name for it in candidates],
            [it.identity for it in candidates],
            [it.attempt for it in candidates],
        )
        async with self._transaction() as connection:
            await connection.execute(_OPEN, values)

    async def open_generation(self, *, key: Key, generation: OpenGeneration) -> None:
        """Begin a generation with the next registration; idempotent by rollout and number."""
        async with self._transaction() as connection:
            await open_generation(connection, key=key, generation=generation)

    async def close_rollout(self, *, key: Key, rollout: CloseRollout) -> None:
        """Mark an attempt as ended; idempotent, the first outcome stays."""
        async with self._transaction() as connection:
            await connection.execute(
                _CLOSE, (rollout.outcome, rollout.rollout, key.namespace, key.doer)
            )

    async def drift_rows(self, *, key: Key, watch: DriftWatch, limit: int) -> DriftRows | None:
        """Open the watch unless it is, then read on from its watermark."""
        async with self._transaction() as connection:
            return await drift.open_and_read(connection, key=key, watch=watch, limit=limit)

    async def save_drift(self, *, key: Key, watch: DriftWatch, state: str, watermark: int) -> None:
        """Keep the detector's state; an older one than is there is left out."""
        async with self._transaction() as connection:
            await drift.save(connection, key=key, watch=watch, state=state, watermark=watermark)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(self._deadline), transaction(self._pool) as connection:
                if not self._schema_checked:
                    await check_schema(connection)
                    self._schema_checked = True
                yield connection
        except TimeoutError as error:
            message = f"Postgres did not answer within {self._deadline:g} s"
            raise RunLogUnavailableError(message) from error
        except (DatabaseUnavailableError, SchemaMismatchError, psycopg.Error) as error:
            raise RunLogUnavailableError(str(error)) from error


async def _read_prefix(
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
    cursor = await connection.execute(
        _ROLLOUT, {"rollout": rollout, "namespace": key.namespace, "doer": key.doer}
    )
    found = await cursor.fetchone()
    if found is None:
        raise unknown_rollout(key, rollout)
    total, maturation, open_seq, next_timeout, unit = found
    of_units = bool(terms) and unit != Unit.RUN.value
    stop = total + 1 if open_seq is None else open_seq
    cursor = await connection.execute(
        units.prefix_query(_PREFIX, terms) if of_units else _prefix_query(terms),
        {
            "rollout": rollout,
            "candidate": candidate,
            "after": after,
            "stop": stop,
            "limit": limit,
        },
    )
    rows = await cursor.fetchall()
    held = rows[-1][0] if rows else after
    cursor = await connection.execute(
        _OVERDUE, {"rollout": rollout, "held": held, "age": maturation + grace_seconds}
    )
    overdue = await cursor.fetchone()
    width = 8 + len(terms) * (2 if of_units else 1)
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    return LogRows(
        seq=columns[0],
        is_candidate=columns[1],
        is_other=columns[2],
        propensity=columns[3],
        control_propensity=columns[4],
        loss=columns[5],
        void=columns[6],
        timed_out=columns[7],
        terms=dict(zip(terms, columns[8 : 8 + len(terms)], strict=True)),
        worst=dict(zip(terms, columns[8 + len(terms) :], strict=False)),
        total=total,
        overdue=0 if overdue is None else overdue[0],
        next_timeout_seconds=None if next_timeout is None else max(next_timeout, 0.0),
        generations=await read_generations(connection, rollout=rollout, candidate=candidate),
    )


def _prefix_query(terms: Sequence[str]) -> LiteralString:
    """Terms are asked for as columns of the run's score; of a bundle that came after its run timed
    out they are none, whenever the prefix is read."""
    columns: LiteralString = ""
    for name in terms:
        column = TERM_COLUMNS[Term(name)]
        columns += f", CASE WHEN t.resolution = 'Bundle' THEN c.{column} END"
    return _PREFIX.format(columns=columns, join=_JOIN if terms else "")


def _promotion(row: Sequence[str]) -> Promotion:
    transition_id, policy, digest, identity, from_stage, to_stage, by, why, rollout = row
    return Promotion(
        transition_id=transition_id,
        policy=policy,
        digest=digest,
        identity=identity,
        from_stage=None if from_stage is None else Stage(from_stage),
        to_stage=Stage(to_stage),
        by=by,
        why=why,
        rollout=rollout,
    )


def _promotion_values(key: Key, row: Promotion) -> tuple[str | None, ...]:
    return (
        row.transition_id,
        key.namespace,
        key.doer,
        row.policy,
        row.digest,
        row.identity,
        row.from_stage,
        row.to_stage,
        row.by,
        row.why,
        row.rollout,
    )

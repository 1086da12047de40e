"""The operator's port to the run log (`ports.runlog.RunLog`)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg.types.json import Jsonb

from learnops.adapters.postgres import drift
from learnops.adapters.postgres.connection import (
    Connection,
    DatabaseUnavailableError,
    Pool,
    transaction,
)
from learnops.adapters.postgres.generations import (
    ATTEMPTS,
    open_generation,
)
from learnops.adapters.postgres.log_rows import read_prefix
from learnops.adapters.postgres.pairs import read_pairs, resolve_pairs
from learnops.adapters.postgres.readings import PAIRS, forget_marks, keep_mark
from learnops.adapters.postgres.schema import SchemaMismatchError, check_schema
from learnops.adapters.postgres.timeouts import resolve_timeouts
from learnops.adapters.postgres.units import resolve_units
from learnops.api.policy import Stage
from learnops.domain.observed import History, Key, Promotion
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout
from learnops.ports.runlog import (
    DriftRows,
    DriftWatch,
    LogRows,
    PairRows,
    RunLogUnavailableError,
)

_HISTORY = """
SELECT transition_id, policy_id, digest, identity, from_stage, to_stage, promoted_by, why, rollout,
       reason, culprit
FROM policy_promotions WHERE namespace = %s AND doer = %s ORDER BY id
"""

_PROMOTE = """
INSERT INTO policy_promotions (transition_id, namespace, doer, policy_id, digest, identity,
                               from_stage, to_stage, promoted_by, why, rollout, reason,
                               culprit)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (namespace, doer, transition_id) DO NOTHING
"""

_OPEN = """
WITH opened AS (
    INSERT INTO shadow_deployments (id, namespace, doer, mode, candidate_policy_id,
        control_policy_id, allocation_pct, auto_promote, safety_thresholds, canary, canary_uid,
        identity, attempt, maturation_seconds, crl, unit, epoch_seconds)
    VALUES (%s, %s, %s, %s, %s, %s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s, %s)
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
        reader: str = "",
    ) -> LogRows:
        """Resolve the runs whose time is up, then read the resolved prefix with seq > `after`."""
        async with self._transaction() as connection:
            await resolve_timeouts(connection, rollouts=[rollout])
            await resolve_units(connection, rollouts=[rollout])
        async with self._transaction() as connection:
            # One snapshot for all statements: they must speak of the same prefix.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = await read_prefix(
                connection,
                key=key,
                rollout=rollout,
                candidate=candidate,
                after=after,
                limit=limit,
                grace_seconds=grace_seconds,
                terms=terms,
            )
            if reader:
                await keep_mark(
                    connection,
                    rollout=rollout,
                    what=candidate,
                    reader=reader,
                    after=after,
                    upto=rows.seq[-1] if rows.seq else after,
                )
            return rows

    async def shadow_pairs(
        self, *, key: Key, rollout: str, after: int, limit: int, reader: str = ""
    ) -> PairRows:
        """Resolve the pairs that are complete or due, then read those with seq > `after`."""
        async with self._transaction() as connection:
            await resolve_pairs(connection, rollout=rollout)
        async with self._transaction() as connection:
            # One snapshot for all statements: they must speak of the same prefix.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = await read_pairs(connection, key=key, rollout=rollout, after=after, limit=limit)
            if reader:
                upto = rows.seq[-1] if rows.seq else after
                await keep_mark(
                    connection, rollout=rollout, what=PAIRS, reader=reader, after=after, upto=upto
                )
            return rows

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
            Jsonb(rollout.safety_thresholds),
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
            await forget_marks(connection, rollout=rollout.rollout)

    async def drift_rows(self, *, key: Key, watch: DriftWatch, limit: int) -> DriftRows | None:
        """Open the watch unless it is, then read on from its watermark."""
        async with self._transaction() as connection:
            return await drift.open_and_read(connection, key=key, watch=watch, limit=limit)

    async def save_drift(
        self, *, key: Key, watch: DriftWatch, state: str, watermark: int, alarmed: bool = False
    ) -> None:
        """Keep the detector's state; an older one than is there is left out."""
        async with self._transaction() as connection:
            await drift.save(
                connection,
                key=key,
                watch=watch,
                state=state,
                watermark=watermark,
                alarmed=alarmed,
            )

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
            # Whatever came back may have another schema: a backup of an older version, say.
            self._schema_checked = False
            raise RunLogUnavailableError(str(error)) from error


def _promotion(row: Sequence[str]) -> Promotion:
    transition_id, policy, digest, identity, from_stage, to_stage, *told = row
    by, why, rollout, reason, culprit = told
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
        reason=reason,
        culprit=culprit,
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
        row.reason,
        row.culprit,
    )

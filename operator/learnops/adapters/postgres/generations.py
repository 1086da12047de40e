"""Analysis generations of a rollout: which registrations are scored and judged by which weights."""

from collections.abc import Iterable
from typing import Any

from psycopg.types.json import Jsonb

from learnops.adapters.postgres.connection import Connection, Pool, transaction
from learnops.domain.observed import Key
from learnops.domain.plan import OpenGeneration
from learnops.ports.runlog import Generation, RunLogRestoredError

GenerationId = tuple[str, int]  # rollout, number

# A registration holds the same lock until it commits: the number that is read below is the first
# of those that come after.
_LOCK = """
SELECT 1 FROM shadow_deployments
WHERE id = %s AND namespace = %s AND doer = %s AND ended_at IS NULL FOR UPDATE
"""

# Every rollout and every further generation of the content is an attempt that is paid for.
ATTEMPTS = """
SELECT c.identity, count(*) AS attempts
FROM rollout_candidates c JOIN shadow_deployments d ON d.id = c.rollout
WHERE d.namespace = %(namespace)s AND d.doer = %(doer)s GROUP BY c.identity
"""

_OPEN = f"""
WITH opened AS (
    INSERT INTO rollout_generations (rollout, generation, first_seq, crl)
    SELECT d.id, %(number)s, d.next_seq, %(crl)s
    FROM shadow_deployments d WHERE d.id = %(rollout)s
    ON CONFLICT (rollout, generation) DO NOTHING
    RETURNING rollout, generation
)
INSERT INTO rollout_candidates (rollout, policy, generation, identity, attempt)
SELECT c.rollout, c.policy, opened.generation, c.identity, 1 + tried.attempts
FROM opened JOIN rollout_candidates c ON c.rollout = opened.rollout AND c.generation = 1
JOIN ({ATTEMPTS}) tried ON tried.identity = c.identity
WHERE c.policy = ANY(%(candidates)s)
"""  # noqa: S608 - a constant of this file

# Of a candidate that was dropped before a generation, the last in which it was judged.
_READ = """
SELECT g.generation, g.first_seq, c.attempt, g.crl
FROM (
    SELECT 1 AS generation, 1::bigint AS first_seq, crl
    FROM shadow_deployments WHERE id = %(rollout)s
    UNION ALL
    SELECT generation, first_seq, crl FROM rollout_generations WHERE rollout = %(rollout)s
) g CROSS JOIN LATERAL (
    SELECT attempt FROM rollout_candidates
    WHERE rollout = %(rollout)s AND policy = %(candidate)s AND generation <= g.generation
    ORDER BY generation DESC LIMIT 1
) c
ORDER BY g.generation
"""

_CRL = """
SELECT d.id, 1, d.crl FROM unnest(%(rollouts)s::text[]) AS i (id) CROSS JOIN LATERAL (
    SELECT id, crl FROM shadow_deployments WHERE id = i.id LIMIT 1
) d
UNION ALL
SELECT rollout, generation, crl FROM rollout_generations WHERE rollout = ANY(%(rollouts)s)
"""


async def open_generation(connection: Connection, *, key: Key, generation: OpenGeneration) -> None:
    """Begin a generation with the next registration; idempotent by rollout and number.

    Raises RunLogRestoredError where the rollout is not open: nothing may be judged then.
    """
    values = (generation.rollout, key.namespace, key.doer)
    cursor = await connection.execute(_LOCK, values)
    if await cursor.fetchone() is None:
        raise RunLogRestoredError(
            f"rollout {generation.rollout} of {key} is not open in the run log: an older database "
            "was restored"
        )
    await connection.execute(
        _OPEN,
        {
            "rollout": generation.rollout,
            "namespace": key.namespace,
            "doer": key.doer,
            "number": generation.number,
            "crl": Jsonb(generation.crl),
            "candidates": list(generation.candidates),
        },
    )


async def read_generations(
    connection: Connection, *, rollout: str, candidate: str
) -> tuple[Generation, ...]:
    """All generations of a rollout with the candidate's attempts, oldest first."""
    cursor = await connection.execute(_READ, {"rollout": rollout, "candidate": candidate})
    return tuple(
        Generation(number=row[0], first_seq=row[1], attempt=row[2], crl=row[3])
        for row in await cursor.fetchall()
    )


async def frozen_crl(
    pool: Pool, *, generations: Iterable[GenerationId]
) -> dict[GenerationId, dict[str, Any]]:
    """`Doer.spec.crl` as frozen when each generation began. Raises DatabaseUnavailableError."""
    rollouts = sorted({rollout for rollout, _ in generations})
    async with transaction(pool) as connection:
        cursor = await connection.execute(_CRL, {"rollouts": rollouts})
        return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}

"""What the pairs of a shadow stage say of each term: for reading, nothing is decided on it."""

from dataclasses import dataclass

from learnops.adapters.postgres.connection import Pool, transaction

# The newest pairs: a report must stay cheap however long a stage lasts.
_MOST_PAIRS = 10_000

# Only pairs in which both sides told the term: a mean over other runs would compare nothing. LIMIT
# keeps the planner from a hash join, for which it would read all scores that there are.
_MEANS = """
SELECT told.term, avg(told.candidate), avg(told.control), count(*)
FROM (SELECT breakdown, namespace, run_id FROM shadow_pairs
      WHERE rollout = %(rollout)s AND resolved_at IS NOT NULL AND breakdown IS NOT NULL
      ORDER BY seq DESC LIMIT %(most)s) p
CROSS JOIN LATERAL (
    SELECT breakdown FROM crl_results
    WHERE namespace = p.namespace AND run_id = p.run_id LIMIT 1
) c
CROSS JOIN LATERAL (
    SELECT mine.key AS term, mine.value::float8 AS candidate,
           (c.breakdown -> 'terms' ->> mine.key)::float8 AS control
    FROM jsonb_each_text(p.breakdown -> 'terms') mine
) told
WHERE told.control IS NOT NULL
GROUP BY told.term ORDER BY told.term
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermMeans:
    """Mean of a normalised term, 0 the best, over the pairs in which both sides reported it."""

    term: str
    candidate: float
    control: float
    pairs: int


async def term_means(pool: Pool, *, rollout: str) -> list[TermMeans]:
    """Every term of the newest resolved pairs. Raises DatabaseUnavailableError."""
    async with transaction(pool) as connection:
        cursor = await connection.execute(_MEANS, {"rollout": rollout, "most": _MOST_PAIRS})
        return [
            TermMeans(term=row[0], candidate=row[1], control=row[2], pairs=row[3])
            for row in await cursor.fetchall()
        ]

"""Which terms the last runs of each doer report: one query for all of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool, transaction
from learnops.domain.observed import Key
from learnops.ports.runlog import RunLogUnavailableError
from learnops.ports.terms import Reported, Watched

# A doer without a new run costs one look at the end of an index. `recent` bounds the search where
# the doer's last runs are of other policies. Below a LIMIT each score is a look-up by key, whatever
# the plan was made for.
_READ = """
SELECT w.namespace, w.doer, w.policy, l.until, s.runs, s.reported
FROM unnest(%(namespace)s::text[], %(doer)s::text[], %(policy)s::text[], %(since)s::timestamptz[])
    AS w (namespace, doer, policy, since)
CROSS JOIN LATERAL (
    SELECT received_at AS until FROM runs
    WHERE doer = w.doer AND namespace = w.namespace AND received_at > w.since
    ORDER BY received_at DESC LIMIT 1
) l
CROSS JOIN LATERAL (
    WITH told AS MATERIALIZED (
        SELECT c.breakdown -> 'terms' AS terms
        FROM (
            SELECT namespace, run_id FROM (
                SELECT namespace, run_id, policy, received_at FROM runs
                WHERE doer = w.doer AND namespace = w.namespace
                ORDER BY received_at DESC LIMIT %(recent)s
            ) recent
            WHERE policy = w.policy ORDER BY received_at DESC LIMIT %(runs)s
        ) r CROSS JOIN LATERAL (
            SELECT breakdown FROM crl_results
            WHERE namespace = r.namespace AND run_id = r.run_id LIMIT 1
        ) c
    )
    SELECT (SELECT count(*) FROM told) AS runs, (
        SELECT coalesce(jsonb_object_agg(term, runs), '{}') FROM (
            SELECT term, count(*) AS runs FROM told, jsonb_object_keys(terms) AS term
            WHERE jsonb_typeof(terms) = 'object' GROUP BY term
        ) each
    ) AS reported
) s
"""
_OF_OTHER_POLICIES = 5  # times as many runs are looked through
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class PostgresTerms:
    """The port on Postgres; the call ends within `deadline_seconds`."""

    def __init__(self, pool: Pool, *, deadline_seconds: float = 8.0) -> None:
        self._pool = pool
        self._deadline = deadline_seconds

    async def reported_terms(self, *, watched: Sequence[Watched], runs: int) -> Sequence[Reported]:
        """Of each doer with news the last `runs` runs of its policy; others are left out."""
        values = {
            "namespace": [it.key.namespace for it in watched],
            "doer": [it.key.doer for it in watched],
            "policy": [it.policy for it in watched],
            "since": [it.since or _LONG_AGO for it in watched],
            "runs": runs,
            "recent": runs * _OF_OTHER_POLICIES,
        }
        try:
            async with asyncio.timeout(self._deadline), transaction(self._pool) as connection:
                await connection.execute("SET TRANSACTION READ ONLY")
                cursor = await connection.execute(_READ, values)
                rows = await cursor.fetchall()
        except TimeoutError as error:
            message = f"Postgres did not answer within {self._deadline:g} s"
            raise RunLogUnavailableError(message) from error
        except (DatabaseUnavailableError, psycopg.Error) as error:
            raise RunLogUnavailableError(str(error)) from error
        return [
            Reported(
                key=Key(namespace=row[0], doer=row[1]),
                policy=row[2],
                until=row[3],
                runs=row[4],
                reported=row[5],
            )
            for row in rows
        ]

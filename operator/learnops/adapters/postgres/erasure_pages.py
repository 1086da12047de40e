"""What erasing a tenant does to a page of its runs, and to all that hangs on them."""

from collections.abc import Mapping
from typing import Any, LiteralString

from learnops.adapters.postgres.connection import Pool, transaction
from learnops.adapters.postgres.retention import UPKEEP_LOCK
from learnops.domain.bundle_limits import ERASED

# The ids of sessions and of tenants' epochs keep a unit's arm for as long as its rollout lasts.
# Generated content of the runs goes with them.
_RUNS: LiteralString = f"""
WITH page AS MATERIALIZED (
    SELECT received_at AS at, run_id AS id,
           coalesce(sha256(%(salt)s::bytea || convert_to(tenant, 'UTF8')) = %(mark)s, false) AS mine
    FROM runs
    WHERE doer = %(doer)s AND namespace = %(namespace)s AND received_at >= %(at)s::timestamptz
      AND (received_at, run_id) > (%(at)s::timestamptz, %(id)s)
    ORDER BY received_at, run_id LIMIT %(limit)s
), redacted AS (
    UPDATE runs r SET bundle = NULL, tenant = '{ERASED}', content_hash = ''
    FROM page p WHERE p.mine AND r.namespace = %(namespace)s AND r.run_id = p.id
), pairs AS (
    UPDATE shadow_pairs s SET content_hash = '' FROM page p
    WHERE p.mine AND s.namespace = %(namespace)s AND s.run_id = p.id
      AND s.content_hash IS NOT NULL
), samples AS (
    DELETE FROM dataset_samples s USING page p
    WHERE p.mine AND s.namespace = %(namespace)s AND s.run_id = p.id
), reflected AS (
    DELETE FROM reflections f USING page p
    WHERE p.mine AND f.namespace = %(namespace)s AND f.run_id = p.id
), remembered AS (
    DELETE FROM memories m USING page p
    WHERE p.mine AND m.namespace = %(namespace)s AND m.source_run_id = p.id
), units AS (
    SELECT t.rollout, t.seq FROM page p JOIN deployment_routings t
        ON t.namespace = %(namespace)s AND t.run_id = p.id AND t.unit_id <> t.run_id
    WHERE p.mine
    UNION
    SELECT u.rollout, u.seq FROM page p JOIN unit_runs u
        ON u.namespace = %(namespace)s AND u.run_id = p.id
    WHERE p.mine
), waiting AS (
    INSERT INTO tenant_erasure_units (erasure, rollout, seq)
    SELECT %(erasure)s, rollout, seq FROM units ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM page WHERE mine), (SELECT count(*) FROM page), last.at::text, last.id
FROM (VALUES (1)) one LEFT JOIN LATERAL (
    SELECT at, id FROM page ORDER BY page.at DESC, page.id DESC LIMIT 1
) last ON true
"""  # noqa: S608 - constants of this file

# After the page, as a statement of its own: the page waited for whoever was adding signals to its
# runs, and what they added is seen by a later statement alone. Whoever comes now finds the tenant
# erased (signals.append). Of every page, also where no run is newly the tenant's: who found a run
# that was registered alone, and had not reported, had nothing to wait for, and may have added its
# signals after an earlier pass. Each pass looks again at the runs of the minutes before the last.
_NOTES: LiteralString = f"""
UPDATE signals s SET source = '', note = '' FROM runs r
WHERE r.doer = %(doer)s AND r.namespace = %(namespace)s AND r.tenant = '{ERASED}'
  AND r.received_at >= %(at)s::timestamptz
  AND (r.received_at, r.run_id) > (%(at)s::timestamptz, %(id)s)
  AND (r.received_at, r.run_id) <= (%(last_at)s::timestamptz, %(last_id)s)
  AND s.namespace = r.namespace AND s.run_id = r.run_id AND (s.source <> '' OR s.note <> '')
"""  # noqa: S608 - constants of this file


async def page_of_runs(pool: Pool, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Erase the tenant from one page of a doer's runs, in a transaction of its own.

    Returns how many runs were the tenant's, how many the page had, and the last one's time and id.
    Raises DatabaseUnavailableError; repeating is safe.
    """
    async with transaction(pool) as connection:
        await connection.execute(UPKEEP_LOCK)
        cursor = await connection.execute(_RUNS, values)
        row = await cursor.fetchone()
        assert row is not None
        if row[1]:
            await connection.execute(_NOTES, {**values, "last_at": row[2], "last_id": row[3]})
    return row

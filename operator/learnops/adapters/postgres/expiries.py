"""What may expire, table by table: which rows, in which order, and what is done to them.

Each statement looks at a page of rows beyond a cursor (`at`, `id`), so that no transaction is long
whatever the log holds. `free` says whether a row may go; null: it is not for this expiry to say.
"""

from dataclasses import dataclass
from typing import Final, LiteralString

from learnops.adapters.postgres import expiries_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """How the rows of one table expire.

    `scopes` answers with the parameters of each part that is paged through by itself. `page` has
    the columns at, id and free. `write` changes the rows of `page` that are free, `also` what goes
    with them.
    """

    table: str
    least_days: int  # what reads the table needs this much of it
    scopes: LiteralString
    page: LiteralString
    write: LiteralString
    also: tuple[LiteralString, ...] = ()
    begin: tuple[str, str] = ("-infinity", "")
    # Rows come in the order of their age: where none of a page may go, none after it may.
    by_age: bool = False


# A rollout counts as live for a day after its end: its last runs are still being counted then.
_LIVE: LiteralString = "(d.ended_at IS NULL OR d.ended_at > now() - interval '1 day')"

_RUNS: LiteralString = f"""
SELECT r.received_at AS at, r.run_id AS id,
       NOT EXISTS (SELECT FROM shadow_deployments d WHERE d.id = r.rollout AND {_LIVE})
       AND NOT EXISTS (SELECT FROM shadow_pairs s JOIN shadow_deployments d ON d.id = s.rollout
                       WHERE s.namespace = r.namespace AND s.run_id = r.run_id AND {_LIVE})
           AS free
FROM runs r
WHERE r.doer = %(doer)s AND r.namespace = %(namespace)s
  AND r.received_at >= %(at)s::timestamptz AND r.received_at < %(cutoff)s
  AND (r.received_at, r.run_id) > (%(at)s::timestamptz, %(id)s)
"""  # noqa: S608 - constants of this file

_ENDED: LiteralString = """
SELECT d.id AS rollout FROM shadow_deployments d
WHERE d.ended_at < least(%(cutoff)s, now() - interval '1 day')
  AND EXISTS (SELECT FROM {table} t WHERE t.rollout = d.id)
ORDER BY d.ended_at, d.id
"""

_NUMBERED: LiteralString = """
SELECT seq AS at, '' AS id, true AS free FROM {table}
WHERE rollout = %(rollout)s AND seq > %(at)s::bigint ORDER BY seq LIMIT %(limit)s
"""

_WATCHES: LiteralString = """
WITH RECURSIVE known AS (
    (SELECT namespace, doer, watch FROM drift_runs ORDER BY 1, 2, 3 LIMIT 1)
    UNION ALL
    SELECT n.* FROM known k CROSS JOIN LATERAL (
        SELECT namespace, doer, watch FROM drift_runs
        WHERE (namespace, doer, watch) > (k.namespace, k.doer, k.watch) ORDER BY 1, 2, 3 LIMIT 1
    ) n
)
SELECT * FROM known
"""

# A run that is gone already was older than whatever is kept here. What came after the alarm is
# never read.
_WATCHED: LiteralString = """
SELECT w.seq AS at, '' AS id,
       coalesce(r.received_at < %(cutoff)s, true)
       AND NOT EXISTS (SELECT FROM drift_watches o
                       WHERE o.namespace = w.namespace AND o.doer = w.doer
                         AND o.watch = w.watch AND o.watermark < w.seq
                         AND NOT o.alarmed) AS free
FROM drift_runs w LEFT JOIN LATERAL (
    SELECT received_at FROM runs WHERE namespace = w.namespace AND run_id = w.run_id LIMIT 1
) r ON true
WHERE w.namespace = %(namespace)s AND w.doer = %(doer)s AND w.watch = %(watch)s
  AND w.seq > %(at)s::bigint
ORDER BY w.seq LIMIT %(limit)s
"""

BUNDLES: Final = Expiry(
    table="learning_bundles",
    least_days=1,
    # Those of the runs before the mark are gone already.
    scopes="""
SELECT d.namespace, d.doer, coalesce(m.done_until, '-infinity')::text AS at
FROM reported_doers() d LEFT JOIN retention_marks m USING (namespace, doer)
""",
    page=_RUNS + " AND r.bundle IS NOT NULL ORDER BY r.received_at, r.run_id LIMIT %(limit)s",
    write="""
UPDATE runs r SET bundle = NULL FROM page p
WHERE p.free AND r.namespace = %(namespace)s AND r.run_id = p.id
""",
)

EXPIRIES: Final = (
    BUNDLES,
    # Before the runs: the age of a row is that of its run.
    Expiry(
        table="drift_runs",
        least_days=1,
        scopes=_WATCHES,
        page=_WATCHED,
        write="""
DELETE FROM drift_runs w USING page p
WHERE p.free AND w.namespace = %(namespace)s AND w.doer = %(doer)s AND w.watch = %(watch)s
  AND w.seq = p.at
""",
        begin=("0", ""),
        by_age=True,
    ),
    Expiry(
        table="runs",
        least_days=8,  # the volume of seven days is read from them
        scopes="SELECT namespace, doer FROM reported_doers()",
        page=_RUNS + " ORDER BY r.received_at, r.run_id LIMIT %(limit)s",
        write="""
DELETE FROM runs r USING page p
WHERE p.free AND r.namespace = %(namespace)s AND r.run_id = p.id
""",
        also=(
            """
DELETE FROM signals s USING page p
WHERE p.free AND s.namespace = %(namespace)s AND s.run_id = p.id
""",
            # Of a run that is told of right now the reward stays, to be found with that signal by
            # the expiry of signals: this waits for who writes it, and then looks at it again.
            """
DELETE FROM run_rewards w USING page p, run_rewards seen
WHERE p.free AND seen.namespace = %(namespace)s AND seen.run_id = p.id
  AND w.namespace = seen.namespace AND w.run_id = seen.run_id AND w.rewarded_at = seen.rewarded_at
""",
        ),
    ),
    Expiry(
        table="signals",
        least_days=1,
        scopes=expiries_signals.SCOPES,
        page=expiries_signals.PAGE,
        write=expiries_signals.WRITE,
        also=(expiries_signals.REWARDS, expiries_signals.MATCHED),
    ),
    Expiry(
        table="learning_progress",
        least_days=8,
        scopes="SELECT namespace, doer FROM scored_doers()",
        page="""
SELECT "timestamp" AS at, id, true AS free FROM learning_progress
WHERE namespace = %(namespace)s AND doer = %(doer)s
  AND "timestamp" >= %(at)s::timestamptz AND "timestamp" < %(cutoff)s
  AND ("timestamp", id) > (%(at)s::timestamptz, %(id)s::bigint)
ORDER BY "timestamp", id LIMIT %(limit)s
""",
        write="DELETE FROM learning_progress l USING page p WHERE p.free AND l.id = p.id",
        begin=("-infinity", "0"),
    ),
    Expiry(
        table="deployment_routings",
        least_days=1,
        scopes=_ENDED.format(table="deployment_routings"),
        page=_NUMBERED.format(table="deployment_routings"),
        # The runs of a unit go with it; the statement's end is soon enough for the foreign key.
        also=(
            """
DELETE FROM unit_runs u USING page p
WHERE p.free AND u.rollout = %(rollout)s AND u.seq = p.at
""",
        ),
        write="""
DELETE FROM deployment_routings t USING page p
WHERE p.free AND t.rollout = %(rollout)s AND t.seq = p.at
""",
        begin=("0", ""),
    ),
    Expiry(
        table="shadow_pairs",
        least_days=1,
        scopes=_ENDED.format(table="shadow_pairs"),
        page=_NUMBERED.format(table="shadow_pairs"),
        write="""
DELETE FROM shadow_pairs t USING page p
WHERE p.free AND t.rollout = %(rollout)s AND t.seq = p.at
""",
        begin=("0", ""),
    ),
    Expiry(
        table="voided_runs",
        least_days=1,
        scopes="SELECT DISTINCT namespace, doer FROM voided_runs",
        page="""
SELECT voided_at AS at, run_id AS id, true AS free FROM voided_runs
WHERE namespace = %(namespace)s AND doer = %(doer)s AND voided_at < %(cutoff)s
  AND (voided_at, run_id) > (%(at)s::timestamptz, %(id)s)
ORDER BY voided_at, run_id LIMIT %(limit)s
""",
        write="""
DELETE FROM voided_runs v USING page p
WHERE p.free AND v.namespace = %(namespace)s AND v.doer = %(doer)s AND v.run_id = p.id
""",
    ),
)

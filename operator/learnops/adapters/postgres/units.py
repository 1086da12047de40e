"""Units that hold several runs: a session, or a tenant in an epoch.

A unit's row in `deployment_routings` is one observation. Its runs stand in `unit_runs` and are
resolved one by one, like runs that are observations themselves; the unit follows when its window is
over. Every statement here finds nothing in a rollout whose unit is the run.
"""

from collections.abc import Sequence
from typing import LiteralString

from learnops.adapters.postgres.connection import Connection
from learnops.domain.crl.terms import Term

# Columns of crl_results, in the order of Term.
TERM_COLUMNS: dict[Term, LiteralString] = {
    Term.GATE_PASS_RATE: "gate_pass_rate",
    Term.CONTRADICTIONS: "contradictions",
    Term.GROUNDING: "grounding",
    Term.COST_OVER_BUDGET: "cost_over_budget",
    Term.LATENCY_P95: "latency_p95",
    Term.SECURITY_CRITICALS: "security_criticals",
    Term.API_BREAKAGES: "api_breakages",
    Term.DB_MIGRATION_FAIL: "db_migration_fail",
    Term.RAG_COVERAGE: "rag_coverage",
}

# A unit that is being resolved right now is waited for: what is added afterwards is seen by whoever
# resolves it next, or comes too late.
# Look-ups by key as in `registration`.
LOCK_UNITS = """
SELECT 1 FROM (
    SELECT DISTINCT t.seq FROM unnest(%(unit)s::text[]) AS i (unit_id) CROSS JOIN LATERAL (
        SELECT seq FROM deployment_routings
        WHERE rollout = (SELECT %(rollout)s::text) AND unit_id = i.unit_id LIMIT 1
    ) t
    ORDER BY t.seq
) o CROSS JOIN LATERAL (
    SELECT 1 FROM deployment_routings
    WHERE rollout = (SELECT %(rollout)s::text) AND seq = o.seq AND resolution IS NULL
    LIMIT 1 FOR UPDATE
) t
"""

# The first run belongs to its unit whatever happened on the way: a unit without runs would never be
# resolved. Of the later ones none that is registered elsewhere, was reported or voided before.
ADD_RUNS = """
INSERT INTO unit_runs (namespace, run_id, rollout, seq)
SELECT t.namespace, i.run_id, t.rollout, t.seq
FROM unnest(%(run)s::text[], %(unit)s::text[]) WITH ORDINALITY AS i (run_id, unit_id, position)
CROSS JOIN LATERAL (
    SELECT * FROM deployment_routings
    WHERE rollout = (SELECT %(rollout)s::text) AND unit_id = i.unit_id LIMIT 1
) t
WHERE t.resolved_at IS NULL
  AND (t.run_id = i.run_id OR (
      t.window_ends_at > clock_timestamp()
      AND NOT EXISTS (SELECT 1 FROM deployment_routings o
                      WHERE o.namespace = %(namespace)s AND o.run_id = i.run_id OFFSET 0)
      AND NOT EXISTS (SELECT 1 FROM runs r
                      WHERE r.namespace = %(namespace)s AND r.run_id = i.run_id OFFSET 0)
      AND NOT EXISTS (SELECT 1 FROM voided_runs v
                      WHERE v.namespace = %(namespace)s AND v.doer = %(doer)s
                        AND v.run_id = i.run_id OFFSET 0)))
ORDER BY i.run_id
ON CONFLICT (namespace, run_id) DO NOTHING
"""

RUNS_OF_UNITS = """
SELECT u.run_id, t.unit_id, t.arm, t.policy, t.propensity, t.revision
FROM (SELECT DISTINCT run_id FROM unnest(%(run)s::text[]) AS i (run_id)) i
CROSS JOIN LATERAL (
    SELECT run_id, rollout, seq FROM unit_runs
    WHERE namespace = %(namespace)s AND run_id = i.run_id
      AND rollout = (SELECT %(rollout)s::text) LIMIT 1
) u
CROSS JOIN LATERAL (
    SELECT unit_id, arm, policy, propensity, revision FROM deployment_routings
    WHERE rollout = u.rollout AND seq = u.seq LIMIT 1
) t
"""

RESOLVE_RUNS = """
WITH input AS (
    SELECT * FROM unnest(%(namespace)s::text[], %(run_id)s::text[], %(loss)s::float8[],
                         %(void)s::bool[]) AS i (namespace, run_id, loss, void)
), open AS (
    SELECT u.namespace, u.run_id, i.loss, i.void
    FROM (SELECT * FROM input ORDER BY namespace, run_id) i CROSS JOIN LATERAL (
        SELECT namespace, run_id FROM unit_runs
        WHERE namespace = i.namespace AND run_id = i.run_id AND resolution IS NULL
        LIMIT 1 FOR UPDATE
    ) u
)
UPDATE unit_runs u
SET resolved_at = clock_timestamp(),
    resolution = CASE WHEN open.void THEN 'Void' ELSE 'Bundle' END,
    loss = CASE WHEN open.void THEN NULL ELSE open.loss END
FROM open
WHERE u.namespace = open.namespace AND u.run_id = open.run_id AND u.resolved_at IS NULL
"""

VOID_RUNS = """
WITH open AS (
    SELECT u.namespace, u.run_id
    FROM unnest(%(run)s::text[]) AS i (run_id) CROSS JOIN LATERAL (
        SELECT namespace, run_id, rollout, seq FROM unit_runs
        WHERE namespace = %(namespace)s AND run_id = i.run_id AND resolution IS NULL
        LIMIT 1 FOR UPDATE
    ) u CROSS JOIN LATERAL (
        SELECT 1 FROM deployment_routings
        WHERE rollout = u.rollout AND seq = u.seq AND doer = %(doer)s LIMIT 1
    ) t
)
UPDATE unit_runs u SET resolved_at = clock_timestamp(), resolution = 'Void'
FROM open
WHERE u.namespace = open.namespace AND u.run_id = open.run_id AND u.resolved_at IS NULL
RETURNING u.run_id
"""

_TIME_OUT_RUNS = """
WITH due AS (
    SELECT o.namespace, o.run_id
    FROM unnest(%(rollouts)s::text[]) AS i (id) CROSS JOIN LATERAL (
        SELECT id, maturation_seconds FROM shadow_deployments
        WHERE id = i.id AND unit <> 'Run' LIMIT 1
    ) d CROSS JOIN LATERAL (
        SELECT namespace, run_id FROM unit_runs
        WHERE rollout = d.id AND resolved_at IS NULL
          AND registered_at <= now() - make_interval(secs => d.maturation_seconds)
        ORDER BY registered_at LIMIT 5000
        FOR UPDATE SKIP LOCKED
    ) o
)
UPDATE unit_runs u
SET resolved_at = clock_timestamp(), resolution = 'Timeout', loss = 1
FROM due
WHERE u.namespace = due.namespace AND u.run_id = due.run_id AND u.resolved_at IS NULL
"""

# Locked first and summed up in a statement of its own, which sees every run that was added before.
# A run without a resolution has no time of it: asked for in these words, the index of the unit's
# own runs answers, and not the one of all that are open.
LOCK_DUE = """
SELECT o.rollout, o.seq
FROM unnest(%(rollouts)s::text[]) AS i (id) CROSS JOIN LATERAL (
    SELECT id FROM shadow_deployments WHERE id = i.id AND unit <> 'Run' LIMIT 1
) d CROSS JOIN LATERAL (
    SELECT t.rollout, t.seq FROM deployment_routings t
    WHERE t.rollout = d.id AND t.resolved_at IS NULL AND t.window_ends_at <= now()
      AND NOT EXISTS (SELECT 1 FROM unit_runs u
                      WHERE u.rollout = t.rollout AND u.seq = t.seq AND u.resolution IS NULL
                      OFFSET 0)
    ORDER BY t.window_ends_at LIMIT 5000
    FOR UPDATE SKIP LOCKED
) o
"""

# Summed up in the order of the run ids: the same bits whoever does it. `least`, because the mean of
# ones may lie a rounding above one. Withdrawn runs have no loss and are in neither mean.
# A look-up per unit, and no join: one compares each unit with each, planned while all was empty.
# An array of numbers and its bounds as in `timeouts`.
_RESOLVE_UNITS = """
UPDATE deployment_routings t
SET resolved_at = clock_timestamp(), (loss, timed_out, resolution) = (
    SELECT m.loss, m.timed_out,
           CASE WHEN m.loss IS NULL THEN 'Void' WHEN m.timed_out = 1 THEN 'Timeout'
                ELSE 'Bundle' END
    FROM (
        SELECT CASE WHEN count(u.loss) > 0
                    THEN least(avg(u.loss ORDER BY u.run_id), 1) END AS loss,
               avg((u.resolution = 'Timeout')::int::float8)
                   FILTER (WHERE u.resolution <> 'Void') AS timed_out
        FROM unit_runs u WHERE u.rollout = t.rollout AND u.seq = t.seq
    ) m
)
WHERE t.rollout = %(rollout)s AND t.seq = ANY(%(seq)s::bigint[]) AND t.resolution IS NULL
  AND t.seq BETWEEN %(first)s AND %(last)s
  AND (SELECT bool_and(u.resolved_at IS NOT NULL) FROM unit_runs u
       WHERE u.rollout = t.rollout AND u.seq = t.seq)
"""

_MEANS: LiteralString = """
LEFT JOIN LATERAL (
    SELECT 1 AS there{columns}
    FROM unit_runs u
    LEFT JOIN crl_results c
           ON c.namespace = u.namespace AND c.run_id = u.run_id AND u.resolution = 'Bundle'
    WHERE u.rollout = t.rollout AND u.seq = t.seq AND u.resolution <> 'Void'
) c ON true"""


async def resolve_units(connection: Connection, *, rollouts: Sequence[str]) -> int:
    """Resolve, of these rollouts, the runs of units whose time is up and the units whose window is
    over; returns how many units. At most 5,000 of each rollout."""
    cursor = connection.cursor()
    values = {"rollouts": list(rollouts)}
    await cursor.execute(_TIME_OUT_RUNS, values)
    await cursor.execute(LOCK_DUE, values)
    due: dict[str, list[int]] = {}
    for rollout, seq in await cursor.fetchall():
        due.setdefault(rollout, []).append(seq)
    if not due:
        return 0
    found = [
        {"rollout": rollout, "seq": seqs, "first": min(seqs), "last": max(seqs)}
        for rollout, seqs in due.items()
    ]
    await cursor.executemany(_RESOLVE_UNITS, found)
    return cursor.rowcount


def prefix_query(base: LiteralString, terms: Sequence[str]) -> LiteralString:
    """`base` with two columns per term: its mean over the unit's runs, in which one that did not
    report it counts 1, and the highest value that one of them reported."""
    outer: LiteralString = ""
    inner: LiteralString = ""
    highest: LiteralString = ""
    for name in terms:
        column = TERM_COLUMNS[Term(name)]
        outer += f", c.{column}"
        highest += f", c.{column}_worst"
        inner += (
            f", least(avg(coalesce(c.{column}, 1) ORDER BY u.run_id), 1) AS {column}"
            f", max(c.{column}) AS {column}_worst"
        )
    return base.format(columns=outer + highest, join=_MEANS.format(columns=inner))

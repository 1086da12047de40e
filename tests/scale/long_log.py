"""A run log as it is after a year: one big rollout that is over, others that are live, idle doers.

`runs` scales it; with a million it takes some 50 s. Foreign keys and triggers are off meanwhile.
"""

import psycopg

NAMESPACE = "agents"
BIG, LIVE, UNITS, SHADOW = "done.0", "live.0", "units.0", "shadow.0"
# Tables that grow with the runs or the rollouts: none of them may be read as a whole.
LARGE = (
    "deployment_routings",
    "runs",
    "crl_results",
    "drift_runs",
    "unit_runs",
    "shadow_pairs",
    "policy_promotions",
    "shadow_deployments",
    "rollout_candidates",
    "rollout_prefixes",
    "voided_runs",
    "learning_progress",
    "policies",
    "signals",
    "run_rewards",
)

_ROLLOUTS = """
INSERT INTO shadow_deployments (id, namespace, doer, candidate_policy_id, control_policy_id, canary,
                                canary_uid, identity, attempt, maturation_seconds, crl, next_seq,
                                next_pair, ended_at, outcome, unit)
SELECT id, 'agents', doer, doer || '-v2', doer || '-v1', id, id, 'v1:' || id, 1, 600,
       '{"weights": {"grounding": "1"}}'::jsonb, next_seq, next_pair, ended_at, NULL, unit
FROM (VALUES ('done.0', 'planner', %(big)s + 1, 1, now() - interval '30 days', 'Run'),
             ('live.0', 'planner', %(live)s + 1, 1, NULL, 'Run'),
             ('units.0', 'talker', %(units)s + 1, 1, NULL, 'Session'),
             ('shadow.0', 'shadower', 1, %(pairs)s + 1, NULL, 'Run'))
    AS i (id, doer, next_seq, next_pair, ended_at, unit)
UNION ALL
SELECT 'old' || n || '.0', 'agents', 'idle' || n %% 500, 'p2', 'p1', 'old' || n, 'old' || n,
       'v1:' || n, 1, 600, '{}'::jsonb, 1, 1, now() - interval '60 days', 'Promoted', 'Run'
FROM generate_series(1, 20000) n;
"""
_PARTS = """
INSERT INTO rollout_candidates (rollout, policy, identity, attempt)
SELECT id, candidate_policy_id, identity, 1 FROM shadow_deployments;
INSERT INTO rollout_prefixes (rollout, prefix_seq)
SELECT id, greatest(next_seq - 6000, 0) FROM shadow_deployments;
INSERT INTO policies (namespace, id, doer, version)
SELECT 'agents', doer || '-v' || v, doer, v || '.0.0' FROM (
    SELECT 'idle' || n AS doer FROM generate_series(0, 5000) n
    UNION ALL SELECT unnest(ARRAY['planner', 'talker', 'shadower', 'coder'])
) d, generate_series(1, 4) v;
INSERT INTO policy_promotions (transition_id, namespace, doer, policy_id, digest, identity,
                               from_stage, to_stage, promoted_by, why, rollout)
SELECT 't' || n, 'agents', CASE WHEN n % 2000 = 0 THEN 'planner' ELSE 'idle' || n % 500 END,
       'p' || n % 7, 'd', 'i', 'Draft', 'Canary', 'operator', 'rollout started', 'old' || n || '.0'
FROM generate_series(1, 40000) n;
INSERT INTO drift_watches (namespace, doer, watch, policy, since_revision, next_seq, watermark)
SELECT 'agents', doer, 'uid.2.x', doer || '-v1', 2, 1, 0
FROM (SELECT 'idle' || n AS doer FROM generate_series(0, 500) n UNION ALL SELECT 'coder') d;
INSERT INTO voided_runs (namespace, doer, run_id, voided_at)
SELECT 'agents', 'idle' || n % 500, 'void' || n, now() - interval '1 hour'
FROM generate_series(1, 20000) n;
"""
# Of a live rollout the newest 5,000 are open, half of them overdue; every twentieth run timed out.
_ROUTINGS = """
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
    propensity, revision, registered_at, resolved_at, resolution, loss, propensities)
SELECT %(rollout)s, n, 'agents', %(doer)s, %(rollout)s || n, %(rollout)s || n,
       CASE WHEN n %% 10 = 0 THEN 'candidate' ELSE 'control' END,
       %(doer)s || CASE WHEN n %% 10 = 0 THEN '-v2' ELSE '-v1' END, 0.1, 2,
       now() - make_interval(secs => (%(count)s - n) * 1200.0 / %(open)s),
       CASE WHEN n <= %(resolved)s THEN now() END,
       CASE WHEN n > %(resolved)s THEN NULL WHEN n %% 20 = 7 THEN 'Timeout' ELSE 'Bundle' END,
       CASE WHEN n > %(resolved)s THEN NULL WHEN n %% 20 = 7 THEN 1
            ELSE (n * 7919 %% 1000) / 1000.0 END,
       jsonb_build_object(%(doer)s || '-v1', 0.9, %(doer)s || '-v2', 0.1)
FROM generate_series(1, %(count)s::bigint) n
"""
_UNITS = """
UPDATE deployment_routings SET window_ends_at = registered_at + interval '600 seconds',
    timed_out = CASE WHEN resolution IS NOT NULL THEN (resolution = 'Timeout')::int END
WHERE rollout = 'units.0';
INSERT INTO unit_runs (namespace, run_id, rollout, seq, registered_at, resolved_at, resolution,
                       loss)
SELECT namespace, run_id || '/' || k, rollout, seq, registered_at, resolved_at, resolution, loss
FROM deployment_routings, generate_series(1, 3) k WHERE rollout = 'units.0';
"""
_PAIRS = """
INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id, registered_at, reported_loss,
    breakdown, content_hash, resolved_at, candidate_loss, control_loss)
SELECT 'shadow.0', n, 'agents', 'shadower', 'pair' || n,
       now() - make_interval(secs => (%(pairs)s - n) * 0.01),
       CASE WHEN n <= %(resolved)s THEN 0.3 END, '{"terms": {"grounding": 0.3}}'::jsonb,
       CASE WHEN n <= %(resolved)s THEN '\\x00'::bytea END,
       CASE WHEN n <= %(resolved)s THEN now() END,
       CASE WHEN n <= %(resolved)s THEN 0.3 END, CASE WHEN n <= %(resolved)s THEN 0.4 END
FROM generate_series(1, %(pairs)s::bigint) n
"""
_RUNS = """
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, cost_usd,
                  bundle, content_hash, received_at)
SELECT namespace, run_id, doer, policy, arm, propensity, revision, rollout, 0.02,
       '{"metrics": {"grounding": 0.9}}'::jsonb, '\\x00'::bytea, registered_at
FROM deployment_routings WHERE resolution = 'Bundle' AND rollout <> 'units.0';
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, cost_usd,
                  bundle, content_hash, received_at)
SELECT namespace, run_id, 'talker', 'talker-v1', 'control', 0.1, 2, rollout, 0.02, '{}'::jsonb,
       '\\x00'::bytea, registered_at
FROM unit_runs WHERE resolution = 'Bundle';
"""
_IDLE = """
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, cost_usd, bundle,
                  content_hash, received_at)
SELECT 'agents', 'free' || n, CASE WHEN n %% 4 = 0 THEN 'idle' || n / 4 %% 500
                                   WHEN n %% 4 = 1 THEN 'shadower' ELSE 'coder' END,
       'coder-v1', 'control', 0, 2, 0.02, '{"metrics": {"grounding": 0.9}}'::jsonb, '\\x00'::bytea,
       now() - make_interval(secs => (%(free)s - n) * 2.0)
FROM generate_series(1, %(free)s::bigint) n
"""
_SCORES = """
UPDATE shadow_pairs SET run_id = 'free' || (4 * seq + 1);
INSERT INTO drift_runs (namespace, doer, watch, seq, run_id, loss)
SELECT 'agents', 'coder', 'uid.2.x', row_number() OVER (), run_id, 0.3
FROM runs WHERE doer = 'coder';
UPDATE drift_watches SET next_seq = 1 + (SELECT count(*) FROM drift_runs),
    watermark = (SELECT count(*) - 100 FROM drift_runs) WHERE doer = 'coder';
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial, grounding, breakdown)
SELECT namespace, run_id, 0.25, 0.25, false, 0.25, '{"terms": {"grounding": 0.25}}'::jsonb
FROM runs;
INSERT INTO learning_progress (namespace, doer, crl_value, policy_version)
SELECT namespace, doer, 0.25, '1.0.0' FROM runs LIMIT 200000;
INSERT INTO run_rewards (namespace, run_id, doer, reward, partial)
SELECT namespace, run_id, doer, 0.8, true FROM runs LIMIT 100000;
INSERT INTO signals (namespace, run_id, doer, origin, name, value, key)
SELECT namespace, run_id, doer, 'Later', name, 0.8, name
FROM run_rewards, unnest(ARRAY['tests', 'human']) name;
"""


def quiet(url: str) -> None:
    """Statistics come when a test asks for them, never by themselves."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (name,) in rows:
            table = psycopg.sql.Identifier(name)
            off = psycopg.sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = off)")
            connection.execute(off.format(table))


def fill(url: str, *, runs: int) -> None:
    """A log of so many runs."""
    big, live, free = runs * 50 // 100, runs * 10 // 100, runs * 32 // 100
    units, pairs = runs * 2 // 100, runs * 5 // 100
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        values = {"big": big, "live": live, "units": units, "pairs": pairs, "free": free}
        connection.execute(_ROLLOUTS, values)
        connection.execute(_PARTS)
        for rollout, doer, count in (
            (BIG, "planner", big),
            (LIVE, "planner", live),
            (UNITS, "talker", units),
        ):
            of = {"rollout": rollout, "doer": doer, "count": count}
            late = min(5_000, count // 2)
            resolved = count if rollout == BIG else count - late
            connection.execute(_ROUTINGS, {**of, "resolved": resolved, "open": late})
        connection.execute(_UNITS)
        connection.execute(_PAIRS, {**values, "resolved": pairs - min(5_000, pairs // 2)})
        connection.execute(_RUNS)
        connection.execute(_IDLE, values)
        connection.execute(_SCORES)


def empty(url: str) -> None:
    """Without its rows, and as if nothing had happened: plans that are kept stay."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for name in LARGE:
            connection.execute(
                psycopg.sql.SQL("DELETE FROM {}").format(psycopg.sql.Identifier(name))
            )


def analyze(url: str) -> None:
    """Fresh statistics."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")

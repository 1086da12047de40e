"""A database as an older version left it, with rows in every table that it had."""

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

# What each revision's tables could hold; losses with all their digits.
_ROWS = {
    "0001": """
INSERT INTO policies (namespace, id, doer, version, status, prompts, signature, identity)
VALUES ('agents', 'planner-v1', 'planner', '1.0.0', 'active', '{"a": 1}', 'v1:d', 'v1:i');
INSERT INTO policy_promotions (transition_id, namespace, doer, policy_id, digest, identity,
                               from_stage, to_stage, promoted_by, why, rollout)
VALUES ('t1', 'agents', 'planner', 'planner-v1', 'v1:d', 'v1:i', NULL, 'Active', 'operator',
        'first policy', ''),
       ('t2', 'agents', 'planner', 'planner-v2', 'v1:e', 'v1:abc', 'Canary', 'Rejected', 'operator',
        'planner-v2 is worse in grounding (0.4 against 0.1): mean loss', 'uid.0'),
       ('t3', 'agents', 'planner', 'planner-v3', 'v1:f', 'v1:f', 'Canary', 'Rejected', 'operator',
        'planner-v3 breached guardrail p95 3 times in a row: 2.5 above its max 2', 'uid.0'),
       ('t4', 'agents', 'planner', 'planner-v4', 'v1:g', 'v1:g', 'Canary', 'Rejected', 'operator',
        'planner-v4 breached guardrail securityCriticals in 4 runs, immediate.maxCount is 3',
        'uid.0'),
       ('t5', 'agents', 'planner', 'planner-v5', 'v1:h', 'v1:h', 'Canary', 'Rejected', 'operator',
        'planner-v5 is worse: mean loss 0.520 against 0.310 of control', 'uid.0'),
       ('t6', 'agents', 'planner', 'planner-v6', 'v1:j', 'v1:j', 'Archived', 'Archived', 'operator',
        'planner-v6 is worse on the same input: mean loss 0.520 against 0.310', 'uid.0'),
       ('t7', 'agents', 'planner', 'planner-v7', 'v1:k', 'v1:k', 'Canary', 'Rejected', 'operator',
        'planner-v7 is not better by 0.02: planner-v7 is worse in grounding (', 'uid.0'),
       ('t8', 'agents', 'planner', 'planner-v8', 'v1:l', 'v1:l', 'Canary', 'Draft', 'operator',
        'action planner-v8 is worse in grounding (0.4 against 0.1): Abort', 'uid.0');
INSERT INTO shadow_deployments (id, namespace, doer, candidate_policy_id, control_policy_id, canary,
                                canary_uid, identity, attempt, maturation_seconds, crl, next_seq)
VALUES ('uid.0', 'agents', 'planner', 'planner-v2', 'planner-v1', 'canary', 'uid', 'v1:abc', 3,
        600, '{"weights": {"grounding": "1"}}', 4);
INSERT INTO rollout_prefixes VALUES ('uid.0', 2);
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, resolved_at, resolution, loss)
VALUES ('uid.0', 1, 'agents', 'planner', 'a', 'a', 'control', 'planner-v1', 0.1, 7, now(),
        'Bundle', 0.1::float8 + 0.2::float8),
       ('uid.0', 2, 'agents', 'planner', 'b', 'b', 'candidate', 'planner-v2', 0.1, 7, now(),
        'Timeout', 1),
       ('uid.0', 3, 'agents', 'planner', 'c', 'c', 'control', 'planner-v1', 0.1, 7, NULL, NULL,
        NULL);
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, tenant,
                  bundle, content_hash)
VALUES ('agents', 'a', 'planner', 'planner-v1', 'control', 0.1, 7, 'uid.0', 'acme',
        '{"metrics": {"grounding": 0.7}}', 'x'),
       ('agents', 'o', 'planner', 'planner-v1', 'control', 0, 7, NULL, NULL, '{}', 'y');
INSERT INTO crl_results (namespace, run_id, loss_value, loss, weights, partial, grounding)
VALUES ('agents', 'a', 0.3, 0.1::float8 + 0.2::float8, '{"grounding": 1}', false,
        0.1::float8 + 0.2::float8),
       ('agents', 'o', 0.125, 0.125, '{"grounding": 1}', true, NULL);
""",
    "0002": "INSERT INTO voided_runs VALUES ('agents', 'planner', 'v');",
    "0003": """
INSERT INTO drift_watches VALUES ('agents', 'planner', 'w', 'planner-v1', 7, 2, 1, 'state');
INSERT INTO drift_runs VALUES ('agents', 'planner', 'w', 1, 'o', 0.1::float8 + 0.7::float8);
""",
    "0004": """
INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id, reported_loss, content_hash,
                          resolved_at, candidate_loss, control_loss)
VALUES ('uid.0', 1, 'agents', 'planner', 'o', 0.7, 'x', now(), 0.7, 0.1::float8 + 0.2::float8);
""",
    "0005": """
INSERT INTO unit_runs (namespace, run_id, rollout, seq, resolved_at, resolution, loss)
VALUES ('agents', 'a', 'uid.0', 1, now(), 'Bundle', 0.1::float8 + 0.2::float8);
""",
    "0006": """
INSERT INTO rollout_generations (rollout, generation, first_seq, attempt, crl)
VALUES ('uid.0', 2, 3, 4, '{"weights": {"grounding": "2"}}');
""",
    "0007": """
INSERT INTO rollout_candidates (rollout, policy, identity, attempt)
VALUES ('uid.0', 'planner-v2', 'v1:abc', 3);
INSERT INTO rollout_generations (rollout, generation, first_seq, crl)
VALUES ('uid.0', 2, 3, '{"weights": {"grounding": "2"}}');
INSERT INTO rollout_candidates (rollout, policy, generation, identity, attempt)
VALUES ('uid.0', 'planner-v2', 2, 'v1:abc', 4);
""",
    "0009": """
WITH opened AS (
    INSERT INTO learning_sessions (namespace, doer, started_by, why)
    VALUES ('agents', 'planner', 'signals', 'loss up') RETURNING id
), tried AS (
    INSERT INTO experiments (namespace, name, doer, type, session_id, base_policy_id)
    SELECT 'agents', 'e', 'planner', 'prompt_synthesis', id, 'planner-v1' FROM opened RETURNING id
)
INSERT INTO offline_replays (namespace, doer, experiment_id, candidate_policy_id, parent_policy_id,
                             golden_dataset, cases, seeds, candidate_loss, parent_loss, delta_low,
                             delta_high, spread, deterministic, digest, passed)
SELECT 'agents', 'planner', id, 'planner-v2', 'planner-v1', 'golden', 10, 5, 0.1, 0.3,
       -0.3, -0.1, 0.01, true, 'v1:r', true FROM tried;
INSERT INTO skill_cards (namespace, doer, strengths, loss_delta_7d)
VALUES ('agents', 'planner', '["grounding"]', -0.1);
INSERT INTO golden_datasets (namespace, name, doer, digest, cases, created_by)
VALUES ('agents', 'golden', 'planner', 'v1:a', '[{"task": "x"}]', 'alice');
INSERT INTO dataset_samples (dataset_id, namespace, doer, role, run_id, content_hash, content,
                             reward)
VALUES (gen_random_uuid(), 'agents', 'planner', 'coder', 'a', 'x', '{"messages": []}', 0.7);
INSERT INTO learning_approvals (namespace, doer, policy_id, identity, attempt, rollout, decision,
                                decided_by, why)
VALUES ('agents', 'planner', 'planner-v2', 'v1:abc', 3, 'uid.0', 'approved', 'alice', 'good');
INSERT INTO score_cards (namespace, run_id, doer, accuracy, efficiency, reusability, surprise)
VALUES ('agents', 'a', 'planner', 100, 50, 0, 70);
INSERT INTO reflections (namespace, doer, run_id, kind, root_cause)
VALUES ('agents', 'planner', 'a', 'mandatory_reflection', 'no sources');
WITH remembered AS (
    INSERT INTO memories (namespace, doer, kind, topic, content, source_run_id)
    VALUES ('agents', 'planner', 'long_term', 'domain', 'x', 'a') RETURNING id
)
INSERT INTO embeddings (memory_id, model, embedding)
SELECT id, 'm', array_fill(0.5::real, ARRAY[256])::vector FROM remembered;
INSERT INTO patterns (namespace, doer, kind, items, support, lift, occurrences)
VALUES ('agents', 'planner', 'failure_patterns', '["timeout"]', 0.1, 2.5, 3);
INSERT INTO outbox (namespace, doer, event) VALUES ('agents', 'planner', 'promoted');
INSERT INTO daily_rollups VALUES ('agents', 'planner', '2026-11-20', 2, 0.425, 1, 1, 0, 1, 0, 1);
INSERT INTO retention_marks VALUES ('agents', 'planner', '2026-11-01T00:00:00Z');
WITH asked AS (
    INSERT INTO tenant_erasures (namespace, tenant_mark, salt, requested_by, forget_at)
    VALUES ('agents', 'm', 's', 'alice', now() + interval '30 days') RETURNING id
)
INSERT INTO tenant_erasure_units (erasure, rollout, seq) SELECT id, 'uid.0', 3 FROM asked;
""",
    "0010": """
INSERT INTO rollout_readings (rollout, what, reader, upto) VALUES ('uid.0', 'planner-v2', 'r', 2);
""",
    "0011": """
INSERT INTO signals (namespace, run_id, doer, origin, name, value, source, note, key)
VALUES ('agents', 'o', 'planner', 'Bundle', 'tests', 0.1::float8 + 0.2::float8, '', '', NULL),
       ('agents', 'b', 'planner', 'Later', 'human', 1, 'ci', 'fine', 'k');
INSERT INTO run_rewards (namespace, run_id, doer, reward, weights, partial)
VALUES ('agents', 'o', 'planner', 0.1::float8 + 0.2::float8, '{"tests": 1}', false),
       ('agents', 'b', 'planner', NULL, '{}', true);
""",
}
# What a later revision replaced.
_UNTIL = {"0006": "0006"}


def migrate_to(database: str, *, revision: str) -> None:
    """The schema as an older version left it."""
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(database), poolclass=NullPool
    )
    config = Config()
    config.set_main_option("script_location", "learnops.adapters.postgres:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def fill(database: str, *, revision: str) -> None:
    """Rows in every table of a schema at that revision."""
    with psycopg.connect(database) as connection:
        for since, statements in _ROWS.items():
            if since <= revision <= _UNTIL.get(since, revision):
                connection.execute(statements.encode())


def rows_by_table(database: str) -> dict[str, list[dict[str, object]]]:
    """Everything that the tables hold; numbers with all their digits."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
        return {
            name: [
                row
                for (row,) in connection.execute(
                    f"SELECT to_jsonb(t) FROM {name} t ORDER BY to_jsonb(t)::text".encode()
                ).fetchall()
            ]
            for (name,) in tables
            if name != "alembic_version"
        }

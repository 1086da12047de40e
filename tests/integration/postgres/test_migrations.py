"""From an empty database to this version's schema; a newer one is refused."""

import asyncio
import os
import subprocess
import sys

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.schema import HEAD, REVISIONS, SchemaMismatchError
from learnops.domain.observed import Key
from learnops.ports.runlog import LogRows, RunLogUnavailableError
from tests.integration.postgres.older import migrate_to

KEY = Key(namespace="agents", doer="planner")
TABLES = {
    "alembic_version",
    "crl_results",
    "daily_rollups",
    "dataset_samples",
    "deployment_routings",
    "drift_runs",
    "drift_watches",
    "embeddings",
    "experiments",
    "golden_datasets",
    "learning_approvals",
    "learning_progress",
    "learning_sessions",
    "memories",
    "offline_replays",
    "outbox",
    "patterns",
    "policies",
    "policy_promotions",
    "reflections",
    "retention_marks",
    "rollout_candidates",
    "rollout_generations",
    "rollout_prefixes",
    "rollout_readings",
    "rollup_state",
    "run_rewards",
    "runs",
    "score_cards",
    "shadow_deployments",
    "shadow_pairs",
    "signals",
    "skill_cards",
    "tenant_erasure_units",
    "tenant_erasures",
    "unit_runs",
    "voided_runs",
}
VIEWS = {
    "learning_bundles",
    "v_crl_trend_by_doer",
    "v_daily_rollup",
    "v_experiment_success_rate",
    "v_policy_performance",
    "v_rollout_progress",
    "v_run_rewards",
}


@pytest.mark.every_postgres
def test_upgrades_an_empty_database_and_finds_nothing_to_do_again(database: str) -> None:
    assert upgrade(database) == HEAD
    assert upgrade(database) == HEAD
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
    assert {name for (name,) in found} == TABLES | VIEWS


def test_a_log_of_0002_is_read_on_as_it_was(database: str) -> None:
    migrate_to(database, revision="0002")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_OLD_LOG)
    assert upgrade(database) == HEAD
    rows, attempts = asyncio.run(_read(database))
    assert list(rows.seq) == [1, 2]
    assert list(rows.loss) == [0.25, 1.0]
    assert list(rows.timed_out) == [0, 1]
    assert [(it.number, it.first_seq, it.attempt) for it in rows.generations] == [(1, 1, 3)]
    assert attempts == {"v1:abc": 1}


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "learnops.adapters.postgres:migrations")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(scripts)) == REVISIONS


def test_attempts_of_before_are_those_of_the_only_candidate(database: str) -> None:
    migrate_to(database, revision="0006")
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO shadow_deployments (id, namespace, doer, mode, candidate_policy_id,"
            " control_policy_id, allocation_pct, auto_promote, canary, canary_uid, identity,"
            " attempt, maturation_seconds, crl) VALUES ('u.0', 'agents', 'planner', 'canary', 'v2',"
            " 'v1', 10, true, 'c1', 'u', 'v1:two', 3, 600, '{}')"
        )
        connection.execute(
            "INSERT INTO rollout_generations (rollout, generation, first_seq, attempt, crl)"
            " VALUES ('u.0', 2, 40, 4, '{}')"
        )
    assert upgrade(database) == HEAD
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT policy, generation, identity, attempt FROM rollout_candidates ORDER BY 2"
        ).fetchall()
    assert found == [("v2", 1, "v1:two", 3), ("v2", 2, "v1:two", 4)]


@pytest.mark.every_postgres
def test_refuses_a_newer_schema(database: str) -> None:
    upgrade(database)
    _pretend(database, revision="9999")
    with pytest.raises(SchemaMismatchError, match="schema 9999, which is newer than this version"):
        upgrade(database)


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("9999", "newer than this version of learnops knows"),
        (None, f"has no learnops schema, this version needs {HEAD}: run `learnops db upgrade`"),
    ],
)
async def test_the_operator_holds_with_another_schema(
    database: str, revision: str | None, message: str
) -> None:
    if revision:
        upgrade(database)
        _pretend(database, revision=revision)
    pool = make_pool(database, application="test")
    await pool.open()
    try:
        with pytest.raises(RunLogUnavailableError, match=message):
            await PostgresRunLog(pool).history(key=KEY)
    finally:
        await pool.close()


def test_the_command_says_what_is_missing(database: str) -> None:
    without = _command({})
    assert (without.returncode, without.stderr.strip()) == (
        2,
        "learnops db: set LEARNOPS_DATABASE_URL to the URL of Postgres",
    )
    first = _command({"LEARNOPS_DATABASE_URL": database})
    assert (first.returncode, first.stdout.strip()) == (0, f"the schema is at {HEAD}")
    _pretend(database, revision="9999")
    newer = _command({"LEARNOPS_DATABASE_URL": database})
    assert newer.returncode == 1
    assert "refused: the database has schema 9999" in newer.stderr


_OLD_LOG = """
INSERT INTO shadow_deployments (id, namespace, doer, candidate_policy_id, control_policy_id, canary,
                                canary_uid, identity, attempt, maturation_seconds, crl, next_seq)
VALUES ('uid.0', 'agents', 'planner', 'planner-v2', 'planner-v1', 'canary', 'uid', 'v1:abc', 3,
        600, '{"weights": {"grounding": "1"}}', 4);
INSERT INTO rollout_prefixes VALUES ('uid.0', 2);
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, resolved_at, resolution, loss)
VALUES ('uid.0', 1, 'agents', 'planner', 'a', 'a', 'control', 'planner-v1', 0.1, 7, now(),
        'Bundle', 0.25),
       ('uid.0', 2, 'agents', 'planner', 'b', 'b', 'candidate', 'planner-v2', 0.1, 7, now(),
        'Timeout', 1),
       ('uid.0', 3, 'agents', 'planner', 'c', 'c', 'control', 'planner-v1', 0.1, 7, NULL, NULL,
        NULL);
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, bundle,
                  content_hash)
VALUES ('agents', 'a', 'planner', 'planner-v1', 'control', 0.1, 7, 'uid.0', '{}', 'x');
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial)
VALUES ('agents', 'a', 0.25, 0.25, false);
"""


async def _read(database: str) -> tuple[LogRows, dict[str, int]]:
    pool = make_pool(database, application="test")
    await pool.open()
    try:
        log = PostgresRunLog(pool)
        rows = await log.resolved_prefix(
            key=KEY, rollout="uid.0", candidate="planner-v2", after=0, limit=10, grace_seconds=60
        )
        return rows, await log.attempts(key=KEY)
    finally:
        await pool.close()


def _pretend(database: str, *, revision: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))


def _command(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = (
        "import argparse, sys\n"
        "from learnops.cli import db\n"
        "parser = argparse.ArgumentParser()\n"
        "db.add_parser(parser.add_subparsers())\n"
        "arguments = parser.parse_args(['db', 'upgrade'])\n"
        "sys.exit(arguments.run(arguments))\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEARNOPS")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

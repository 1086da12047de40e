"""`learnops db retention` and `erase-tenant` as a CronJob runs them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.runs import store
from tests.integration.postgres.helpers import row, rows_of


async def test_retention_tells_what_went_and_follows_erasures(pool: Pool, migrated: str) -> None:
    await store(pool, rows=[row("old", rollout=None), row("young", rollout=None)])
    await rows_of(
        pool,
        "UPDATE runs SET received_at = now() - interval '20 days' WHERE run_id = 'old' RETURNING 1",
    )
    asked = ["retention", "--keep", "runs=10d", "-o", "json"]
    foreseen = _json(migrated, *asked, "--dry-run")
    assert foreseen["dryRun"] is True
    assert [(it["table"], it["rows"]) for it in foreseen["tables"]] == [
        ("runs", 1),
        ("signals", 0),
    ]
    assert await rows_of(pool, "SELECT count(*) FROM runs") == [(2,)]

    _json(migrated, "erase-tenant", "agents", "acme", "--by", "alice", "-o", "json")
    await store(pool, rows=[replace(row("late", rollout=None), tenant="acme")])
    done = _json(migrated, *asked)
    assert [(it["table"], it["keepDays"], it["rows"]) for it in done["tables"]] == [
        ("runs", 10, 1),
        ("signals", 10, 0),
    ]
    assert [it["runs"] for it in done["erasures"]] == [1]
    found = "SELECT run_id, tenant FROM runs ORDER BY 1"
    assert await rows_of(pool, found) == [("late", "(erased)"), ("young", None)]


async def test_settings_come_from_the_environment_and_an_option_wins(
    pool: Pool, migrated: str
) -> None:
    told = _run(
        migrated,
        *("retention", "--dry-run", "--keep", "runs=40d"),
        LEARNOPS_RETENTION="runs=20d,signals=5d,voided_runs=2d",
    )
    assert told.returncode == 0, told.stderr
    tables = [line.split(":")[0] for line in told.stdout.splitlines()]
    assert tables == ["runs", "signals", "voided_runs"]


def test_an_older_schema_is_refused(database: str) -> None:
    told = _run(database, "retention", "--keep", "runs=10d")
    assert told.returncode == 1
    assert "refused: the database has no learnops schema" in told.stderr


def _json(database: str, *arguments: str) -> dict[str, Any]:
    told = _run(database, *arguments)
    assert told.returncode == 0, told.stderr
    document: dict[str, Any] = json.loads(told.stdout)
    return document


def _run(database: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEARNOPS")}
    return subprocess.run(
        [sys.executable, "-m", "learnops.cli.main", "db", *arguments],
        env=kept | {"LEARNOPS_DATABASE_URL": database} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

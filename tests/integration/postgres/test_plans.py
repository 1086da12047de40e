"""Statements that run all the time touch what they need, however long the log is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from learnops.adapters.postgres import timeouts, units
from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.registration import register
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.api.assignment import Unit
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, row, rows_of

ROWS = 30_000
_BATCHES, _BATCH = 40, 100

_FILL = """
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision)
SELECT 'uid.0', g, 'agents', 'planner', 'r' || g, 'r' || g, 'control', 'planner-v1', 0.1, 7
FROM generate_series(1, %s) g
"""


async def test_resolution_by_time_does_not_read_what_is_not_due(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    async with pool.connection() as connection:
        await connection.execute(_FILL, (ROWS,))
        await connection.execute("UPDATE shadow_deployments SET next_seq = %s", (ROWS + 1,))
        await connection.execute("ANALYZE deployment_routings")
        await connection.execute("ANALYZE shadow_deployments")
    plan = await _plan(pool, timeouts.RESOLVE, {"rollout": "uid.0"})
    read = sum(node["Actual Rows"] + _removed(node) for node in _scans(plan))
    assert read < 100


async def test_storing_runs_reads_a_few_rows_a_run_before_the_first_statistics(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    """Plans that are kept were made while the tables were empty."""
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE runs SET (autovacuum_enabled = off)")
    for batch in range(_BATCHES):
        rows = [row(f"{batch}-{number}", rollout=None) for number in range(_BATCH)]
        await store(pool, rows=rows)
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    ((read,),) = await rows_of(
        pool,
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'runs'",
    )
    assert isinstance(read, int)
    assert read <= 5 * _BATCHES * _BATCH


async def test_resolution_of_units_does_not_read_those_whose_window_is_open(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    async with pool.connection() as connection:
        await connection.execute("UPDATE shadow_deployments SET unit = 'Session'")
        await connection.execute(_FILL, (ROWS,))
        await connection.execute(
            "UPDATE deployment_routings SET window_ends_at = now() + interval '1 hour'"
        )
        await connection.execute("ANALYZE deployment_routings")
    plan = await _plan(pool, units.LOCK_DUE, {"rollouts": ["uid.0"]})
    read = sum(node["Actual Rows"] + _removed(node) for node in _scans(plan))
    assert read < 100


async def test_registering_reads_a_few_rows_a_run_in_a_rollout_without_statistics(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE deployment_routings SET (autovacuum_enabled = off)")
        await connection.execute(_FILL, (2_000,))
        await connection.execute("ANALYZE deployment_routings")
    await runlog.open_rollout(key=KEY, rollout=rollout("uid.1", unit=Unit.SESSION))
    reference = replace(ROLLOUT, rollout="uid.1")
    before = await _rows_read(pool)
    for batch in range(_BATCHES):
        draws = [draw(f"{batch}-{n}", unit_id=f"u{batch}-{n}") for n in range(_BATCH)]
        found = await register(pool, rollout=reference, draws=draws)
        assert all(one is not None and one.counts for one in found)
    assert await _rows_read(pool) - before <= 25 * _BATCHES * _BATCH


async def _rows_read(pool: Pool) -> int:
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    ((read,),) = await rows_of(
        pool,
        "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'deployment_routings'",
    )
    return int(str(read))


async def _plan(pool: Pool, statement: str, values: dict[str, object]) -> dict[str, Any]:
    async with pool.connection() as connection:
        cursor = await connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values)  # type: ignore[arg-type]
        row = await cursor.fetchone()
        await connection.rollback()
    assert row is not None
    told = row[0] if isinstance(row[0], list) else json.loads(row[0])
    plan: dict[str, Any] = told[0]["Plan"]
    return plan


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node.get("Relation Name") == "deployment_routings" and "Scan" in node["Node Type"]:
        yield node
    for child in node.get("Plans", []):
        yield from _scans(child)


def _removed(node: dict[str, Any]) -> float:
    removed: float = node.get("Rows Removed by Filter", 0)
    return removed

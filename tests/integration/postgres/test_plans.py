"""Statements that run all the time touch what they need, however long the log is."""

import json
from collections.abc import Iterator
from typing import Any

from learnops.adapters.postgres import timeouts
from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.runlog import PostgresRunLog

ROWS = 30_000

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
    plan = await _plan(pool, timeouts.RESOLVE, {"rollouts": ["uid.0"]})
    read = sum(node["Actual Rows"] + _removed(node) for node in _scans(plan))
    assert read < 100


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

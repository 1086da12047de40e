"""Constraints of the tables of learning, and views with the design's names."""

from dataclasses import replace

import psycopg
import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from tests.integration.postgres.conftest import ROLLOUT
from tests.integration.postgres.helpers import draw, registered, row, rows_of

_SESSION = """
INSERT INTO learning_sessions (namespace, doer, started_by, why)
VALUES ('agents', 'planner', 'signals', 'loss up') RETURNING id
"""
_GOLDEN = """
INSERT INTO golden_datasets (namespace, name, doer, digest, cases, created_by)
VALUES ('agents', 'golden', 'planner', 'v1:a', '[{"task": "x"}]', 'alice') RETURNING id
"""
_APPROVAL = """
INSERT INTO learning_approvals (namespace, doer, policy_id, identity, attempt, rollout, decision,
                                decided_by, why)
VALUES ('agents', 'planner', 'planner-v2', 'v1:i', 1, 'uid.0', 'auto_approved', 'operator', 'low')
RETURNING auto_approved
"""
_CARD = """
INSERT INTO score_cards (namespace, run_id, doer, accuracy, efficiency, reusability, surprise)
VALUES ('agents', 'a', 'planner', 100, 50, 0, 70) RETURNING overall
"""


async def test_a_doer_has_one_open_session(pool: Pool) -> None:
    await rows_of(pool, _SESSION)
    with pytest.raises(psycopg.errors.UniqueViolation, match="learning_sessions_one_open"):
        await rows_of(pool, _SESSION)
    ended = "UPDATE learning_sessions SET status = 'failed', ended_at = now() RETURNING 1"
    await rows_of(pool, ended)
    await rows_of(pool, _SESSION)


async def test_a_golden_set_is_frozen(pool: Pool) -> None:
    await rows_of(pool, _GOLDEN)
    with pytest.raises(psycopg.errors.RestrictViolation, match="agents/golden is frozen"):
        await rows_of(pool, "UPDATE golden_datasets SET cases = '[]' RETURNING 1")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await rows_of(pool, _GOLDEN)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE learning_approvals SET why = 'rewritten'",
        "DELETE FROM learning_approvals",
        "TRUNCATE learning_approvals",
    ],
)
async def test_approvals_are_append_only(
    pool: Pool, runlog: PostgresRunLog, statement: str
) -> None:
    assert await rows_of(pool, _APPROVAL) == [(True,)]
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        await rows_of(pool, statement)


async def test_the_overall_score_is_the_mean_of_the_four(pool: Pool) -> None:
    await store(pool, rows=[row("a", rollout=None)])
    assert await rows_of(pool, _CARD) == [(55.0,)]


@pytest.mark.every_postgres
async def test_an_embedding_has_256_dimensions(pool: Pool) -> None:
    ((memory,),) = await rows_of(
        pool,
        "INSERT INTO memories (namespace, doer, kind, topic, content)"
        " VALUES ('agents', 'planner', 'working', 'domain', 'x') RETURNING id",
    )
    query = "INSERT INTO embeddings (memory_id, model, embedding) VALUES (%s, 'm', %s) RETURNING 1"
    await rows_of(pool, query, (memory, str([0.5] * 256)))
    with pytest.raises(psycopg.errors.DataException, match="expected 256 dimensions, not 3"):
        await rows_of(pool, query, (memory, str([0.5] * 3)))


async def test_the_success_rate_is_of_experiments_that_ended(pool: Pool) -> None:
    await rows_of(
        pool,
        "INSERT INTO experiments (namespace, name, doer, type, base_policy_id, status, ended_at)"
        " SELECT 'agents', n, 'planner', 'prompt_synthesis', 'v1', s,"
        "        CASE WHEN s <> 'running' THEN now() END"
        " FROM (VALUES ('a', 'succeeded'), ('b', 'failed'), ('c', 'failed'), ('d', 'failed'),"
        "              ('e', 'running')) x (n, s) RETURNING 1",
    )
    assert await rows_of(pool, "SELECT * FROM v_experiment_success_rate") == [
        ("agents", "planner", "prompt_synthesis", 0.25, 4)
    ]


async def test_bundles_can_be_read_by_their_parts(pool: Pool) -> None:
    bundle = '{"metrics": {"grounding": 0.9}, "costs": {"costUSD": 0.2}}'
    await store(pool, rows=[replace(row("a", rollout=None), bundle=bundle)])
    assert await rows_of(
        pool, "SELECT run_id, artifacts, metrics, gates, qav, costs FROM learning_bundles"
    ) == [("a", [], {"grounding": 0.9}, [], {}, {"costUSD": 0.2})]


async def test_a_run_names_its_experiment_and_how_far_that_is(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    drawn = [draw("a", arm="candidate"), draw("b"), draw("c"), draw("withdrawn")]
    await registered(pool, ROLLOUT, *drawn)
    await store(pool, rows=[row("a"), row("withdrawn", void=True), row("outside", rollout=None)])
    assert await rows_of(pool, "SELECT run_id, experiment_id FROM runs ORDER BY 1") == [
        ("a", "uid.0"),
        ("outside", None),
        ("withdrawn", "uid.0"),
    ]
    assert await rows_of(
        pool,
        "SELECT experiment_id, status, traffic_split, shadow_run_count, baseline_run_count,"
        " candidate_run_count FROM v_rollout_progress",
    ) == [("uid.0", "Canary", 10, 0, 2, 1)]


async def test_each_of_several_candidates_is_compared_by_itself(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await rows_of(
        pool,
        "INSERT INTO rollout_candidates (rollout, policy, identity, attempt)"
        " VALUES ('uid.0', 'planner-v3', 'v1:x', 1) RETURNING 1",
    )
    await registered(pool, ROLLOUT, draw("a", arm="candidate"), draw("b"))
    await store(pool, rows=[row("a", loss=0.25), row("b", loss=0.5)])
    assert await rows_of(pool, "SELECT * FROM v_policy_performance ORDER BY 3") == [
        ("agents", "planner", "planner-v2", "planner-v1", 0.25, 0.5),
        ("agents", "planner", "planner-v3", "planner-v1", None, 0.5),
    ]

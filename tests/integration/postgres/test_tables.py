"""Constraints, triggers and views that people rely on."""

import psycopg
import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.mirror import mirror_policies, mirror_share
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store, stored
from learnops.api.policy import Policy, Stage
from learnops.domain.observed import Promotion
from tests.integration.postgres.conftest import KEY, ROLLOUT
from tests.integration.postgres.helpers import draw, registered, reported, row, rows_of


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_promotions SET why = 'rewritten'",
        "DELETE FROM policy_promotions",
        "TRUNCATE policy_promotions",
    ],
)
async def test_promotions_are_append_only(
    pool: Pool, runlog: PostgresRunLog, statement: str
) -> None:
    await runlog.record_promotions(key=KEY, rows=[_promotion("t-1")])
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        await rows_of(pool, statement)
    assert (await runlog.history(key=KEY)).promotions == (_promotion("t-1"),)


async def test_a_run_is_stored_once_and_its_first_content_stays(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    assert await store(pool, rows=[row("a", rollout=None)]) == {("agents", "a")}
    other = row("a", rollout=None, loss=0.9, content=b"other")
    assert await store(pool, rows=[other, row("b", rollout=None)]) == {("agents", "b")}
    found = await stored(pool, keys=[("agents", "a"), ("agents", "never")])
    assert {key: (run.loss, run.content_hash) for key, run in found.items()} == {
        ("agents", "a"): (0.25, b"content")
    }
    # The same id in another namespace is another run.
    assert await store(pool, rows=[row("a", rollout=None, namespace="tests")]) == {("tests", "a")}


@pytest.mark.every_postgres
async def test_each_loss_adds_a_row_of_progress_with_the_policys_version(pool: Pool) -> None:
    await mirror_policies(pool, policies=[_policy(Stage.ACTIVE)])
    await reported(pool, "a", loss=0.5)
    assert await rows_of(
        pool, "SELECT namespace, doer, crl_value, policy_version FROM learning_progress"
    ) == [("agents", "planner", 0.5, "1.2.3")]


@pytest.mark.every_postgres
async def test_views(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, draw("a", arm="candidate"), draw("b"), draw("c"))
    await store(pool, rows=[row("a", loss=0.2), row("b", loss=0.6), row("c", void=True)])
    (trend,) = await rows_of(
        pool, "SELECT namespace, doer, avg_loss, run_count FROM v_crl_trend_by_doer"
    )
    assert trend[:2] == ("agents", "planner")
    assert trend[2] == pytest.approx((0.2 + 0.6 + 0.25) / 3)
    assert trend[3] == 3
    assert await rows_of(pool, "SELECT * FROM v_policy_performance") == [
        ("agents", "planner", "planner-v2", "planner-v1", 0.2, 0.6)
    ]


async def test_policies_are_mirrored_and_untouched_while_unchanged(pool: Pool) -> None:
    query = "SELECT id, status, version, signature, prompts, updated_at FROM policies"
    await mirror_policies(pool, policies=[_policy(Stage.CANARY)])
    (first,) = await rows_of(pool, query)
    assert first[:4] == ("planner-v1", "canary", "1.2.3", "v1:abc")
    assert first[4] == {"variants": [{"name": "base", "system": "Plan.", "fewShot": []}]}
    await mirror_policies(pool, policies=[_policy(Stage.CANARY)])
    assert await rows_of(pool, query) == [first]
    await mirror_policies(pool, policies=[_policy(Stage.ACTIVE)])
    (changed,) = await rows_of(pool, query)
    assert changed[1] == "active"
    assert changed[5] > first[5]  # type: ignore[operator]


async def test_the_share_of_a_live_rollout_is_mirrored(pool: Pool, runlog: PostgresRunLog) -> None:
    await mirror_share(pool, rollout="uid.0", percent=25)
    assert await rows_of(pool, "SELECT allocation_pct FROM shadow_deployments") == [(25,)]


def _promotion(transition: str) -> Promotion:
    return Promotion(
        transition_id=transition,
        policy="planner-v1",
        digest="v1:abc",
        identity="v1:def",
        from_stage=None,
        to_stage=Stage.ACTIVE,
        by="operator",
        why="first policy",
    )


def _policy(stage: Stage) -> Policy:
    return Policy.model_validate(
        {
            "apiVersion": "learnops.dev/v1alpha1",
            "kind": "Policy",
            "metadata": {
                "name": "planner-v1",
                "namespace": "agents",
                "uid": "u",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "doerRef": {"name": "planner"},
                "version": "1.2.3",
                "prompts": {"variants": [{"name": "base", "system": "Plan."}]},
            },
            "status": {"stage": stage.value, "digest": "v1:abc", "identity": "v1:def"},
        }
    )

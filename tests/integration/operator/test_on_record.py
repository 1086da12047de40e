"""What a rollout leaves in the run log: for people, and as figures by day."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    first_policy,
    second_policy,
    serves,
    wait_stage,
)

_GUARDED = {**HALF["analysis"], "guardrails": [{"term": "contradictions"}]}


def test_a_rollout_that_breaks_a_guardrail(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**{**HALF, "analysis": _GUARDED})
    serves(objects, "planner-v1", "planner-v2")
    live = _row(run_log, "SELECT status, traffic_split FROM v_rollout_progress", objects)
    assert live == {"status": "Canary", "traffic_split": 50}
    agents = Agents(
        objects=objects,
        database=run_log,
        losses={"planner-v1": 0.4, "planner-v2": 0.4},
        contradictions={"planner-v1": 0.05, "planner-v2": 0.4},
    )
    agents.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    wait_stage(objects, "policies", "planner-v2", "Rejected")
    ended = wait_until(
        lambda: (row := _progress(run_log, objects))["status"] == "RolledBack" and row,
        what="the rollout's end in the run log",
        deadline_seconds=30,
    )
    assert ended["traffic_split"] == 0
    assert ended["baseline_run_count"] > 0
    assert ended["candidate_run_count"] > 0
    thresholds = _row(run_log, "SELECT safety_thresholds FROM shadow_deployments", objects)
    guardrails = thresholds["safety_thresholds"]["guardrails"]
    assert [it["term"] for it in guardrails] == ["contradictions"]
    told = _row(run_log, "SELECT max(culprit) AS culprit FROM policy_promotions", objects)
    assert told == {"culprit": "contradictions"}
    day = _row(run_log, "SELECT * FROM v_daily_rollup", objects)
    assert (day["regressions"], day["guardrail_hits"], day["automatic_promotions"]) == (1, 1, 0)
    assert day["runs"] == day["rollout_runs"] > 0
    assert day["ab_coverage"] == 1


def _progress(run_log: str, objects: Objects) -> dict[str, Any]:
    return _row(run_log, "SELECT * FROM v_rollout_progress", objects)


def _row(run_log: str, query: str, objects: Objects) -> dict[str, Any]:
    with psycopg.connect(run_log, row_factory=dict_row) as connection:
        found = connection.execute(
            f"{query} WHERE namespace = %s".encode(), (objects.namespace,)
        ).fetchone()
    assert found is not None
    return found

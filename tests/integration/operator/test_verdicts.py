"""Verdicts beside promotion and roll-back, from the spec's field to the status and the report."""

from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    first_policy,
    second_policy,
    serves,
    wait_event,
    wait_stage,
)

FUTILITY = {
    **HALF,
    "analysis": {**HALF["analysis"], "futility": {"level": "0.10", "minImprovement": "0.1"}},
}


def test_a_candidate_that_is_no_better_ends_as_futile(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**FUTILITY)
    serves(objects, "planner-v1", "planner-v2")
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.4, "planner-v2": 0.4}
    )
    agents.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    serves(objects, "planner-v1")
    told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
    assert told["recommendation"] == "Futile"
    (candidate,) = told["candidates"]
    assert candidate["verdict"] == "Futile"
    assert candidate["evidence"]["futilityThreshold"] == "10"
    assert float(candidate["evidence"]["futility"]) >= 10
    assert float(candidate["evidence"]["rollback"]) < 20
    assert told["history"][-1]["reason"] == "Futile"
    assert condition(told, "Ready") == ("True", "Futile")
    assert "not better by 0.1" in wait_event(objects, "c1", "RolledBack")["note"]
    wait_stage(objects, "policies", "planner-v2", "Rejected")

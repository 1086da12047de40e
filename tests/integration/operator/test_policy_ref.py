"""What a policyRef that changes while a rollout is under way does."""

import pytest

from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    canaries,
    canary_of,
    condition,
    first_policy,
    follow,
    record,
    second_policy,
    seen,
    serves,
    wait_event,
    wait_stage,
    wait_status,
)
from tests.integration.operator.served import Served


@pytest.fixture
def running(operator: OperatorProcess, objects: Objects) -> Objects:
    """A rollout of planner-v2 that policyRef started."""
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    follow(objects, "planner-v2")
    serves(objects, "planner-v1", "planner-v2")
    wait_stage(objects, "policies", "planner-v2", "Canary")
    return objects


def test_a_third_policy_starts_anew_from_control(running: Objects, run_log: str) -> None:
    with Served(running) as served:
        second_policy(running, "planner-v3")
        follow(running, "planner-v3")
        serves(running, "planner-v1", "planner-v3")
        expected = [
            ("planner-v1", "planner-v2"),
            ("planner-v1",),
            ("planner-v1", "planner-v3"),
        ]
        served.wait(expected)
        wait_stage(running, "policies", "planner-v2", "Draft")
        old = canary_of(running, "planner-v2")
        told = wait_stage(running, "canarydeployments", old, "Superseded")
        assert told["history"][-1]["message"] == "the doer's policyRef is now planner-v3"
        agents = Agents(
            objects=running,
            database=run_log,
            losses={"planner-v1": 0.6, "planner-v2": 0.5, "planner-v3": 0.2},
        )
        agents.until(
            lambda one: one.get("activePolicy") == "planner-v3", what="planner-v3 to be promoted"
        )
        serves(running, "planner-v3")
        served.wait([*expected, ("planner-v3",)])


def test_changed_back_to_the_active_policy_nothing_runs(running: Objects) -> None:
    with Served(running) as served:
        follow(running, "planner-v1")
        told = wait_status(
            running,
            "doers",
            "planner",
            lambda one: one.get("handledPolicyRef") == "planner-v1",
            what="the change back to be handled",
        )
        assert "currentRollout" not in told
        served.wait([("planner-v1", "planner-v2"), ("planner-v1",)])
    wait_stage(running, "policies", "planner-v2", "Draft")
    (only,) = canaries(running)
    wait_stage(running, "canarydeployments", only["metadata"]["name"], "Superseded")
    told = seen(running, "doers", "planner")
    assert condition(told, "Reconciling") == ("False", "Settled")
    assert condition(told, "SpecBehind") == ("False", "InSync")


def test_back_to_the_previous_policy_goes_at_once(running: Objects, run_log: str) -> None:
    agents = Agents(
        objects=running, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    wait_stage(running, "policies", "planner-v1", "Archived")
    revision = agents.traffic()["revision"]
    with Served(running) as served:
        follow(running, "planner-v1")
        told = serves(running, "planner-v1")
        served.wait([("planner-v2",), ("planner-v1",)])
    assert told["traffic"]["revision"] == revision + 1
    assert told["previousPolicy"] == "planner-v2"
    wait_stage(running, "policies", "planner-v1", "Active")
    wait_stage(running, "policies", "planner-v2", "Archived")
    assert len(canaries(running)) == 1
    assert record(running, run_log)[-2:] == [("planner-v1", "Active"), ("planner-v2", "Archived")]
    assert "planner-v1" in wait_event(running, "planner", "Reverted")["note"]


def test_a_revert_may_have_to_prove_itself(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout={**HALF, "revert": "Canary"})
    second_policy(objects)
    follow(objects, "planner-v2")
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    wait_stage(objects, "policies", "planner-v1", "Archived")
    follow(objects, "planner-v1")
    serves(objects, "planner-v2", "planner-v1")
    agents.until(lambda one: "currentRollout" not in one, what="planner-v1 to be shown worse")
    serves(objects, "planner-v2")
    wait_stage(objects, "canarydeployments", canary_of(objects, "planner-v1"), "RolledBack")
    # What had been proved stays in the archive: it lost one comparison, not its past.
    assert seen(objects, "policies", "planner-v1")["stage"] == "Archived"

"""What is deleted while a rollout is under way."""

import pytest

from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    canaries,
    canary_of,
    condition,
    first_policy,
    follow,
    message,
    record,
    second_policy,
    serves,
    shares,
    wait_event,
    wait_stage,
    wait_status,
)


@pytest.fixture
def running(operator: OperatorProcess, objects: Objects) -> Objects:
    """A canary that a person made, with half of the runs."""
    by_hand(objects, rollout=HALF)
    wait_stage(objects, "policies", "planner-v2", "Canary")
    return objects


def test_a_deleted_canary_gives_its_traffic_back(running: Objects, run_log: str) -> None:
    running.delete("canarydeployments", "c1")
    told = serves(running, "planner-v1")
    assert "currentRollout" not in told
    wait_stage(running, "policies", "planner-v2", "Draft")
    assert "canary c1 was deleted" in wait_event(running, "planner", "CanaryDeleted")["note"]
    wait_until(
        lambda: record(running, run_log)[-1] == ("planner-v2", "Draft"),
        what="the move down on record",
        deadline_seconds=30,
    )
    wait_status(
        running, "doers", "planner", lambda one: not one.get("pendingAudit"), what="nothing pending"
    )
    wait_until(
        lambda: not running.get("doers", "planner")["metadata"].get("finalizers"),
        what="the finalizer to be off",
        deadline_seconds=30,
    )


def test_a_canary_made_again_under_its_name_is_another(running: Objects) -> None:
    salt = running.get("doers", "planner")["status"]["traffic"]["salt"]
    running.delete("canarydeployments", "c1")
    running.canary(**HALF)
    told = wait_status(
        running,
        "doers",
        "planner",
        lambda one: len(shares(one)) == 2 and one["traffic"]["salt"] != salt,
        what="the new canary's traffic",
    )
    assert told["currentRollout"] == "c1"
    (candidate,) = wait_stage(running, "canarydeployments", "c1", "Canary")["candidates"]
    assert candidate["attempt"] == 2


def test_a_deleted_candidate_ends_its_canary(running: Objects) -> None:
    running.delete("policies", "planner-v2")
    serves(running, "planner-v1")
    told = wait_stage(running, "canarydeployments", "c1", "Error")
    assert condition(told, "Ready") == ("True", "CandidateGone")
    assert "planner-v2 no longer exists" in message(told, "Ready")


def test_a_deleted_doer_is_named_by_what_it_leaves(running: Objects) -> None:
    running.delete("doers", "planner")
    for plural, name in (("canarydeployments", "c1"), ("policies", "planner-v1")):
        told = wait_status(
            running,
            plural,
            name,
            lambda one: condition(one, "Stalled") == ("True", "DoerNotFound"),
            what=f"{name} to say that its doer is gone",
        )
        assert "doer planner does not exist" in message(told, "Stalled")
    running.doer(rollout=HALF)
    serves(running, "planner-v1")
    # What it had was lost with the doer; the canary ends and does not go on with half of the runs.
    told = wait_stage(running, "canarydeployments", "c1", "Superseded")
    assert condition(told, "Stalled")[0] == "False"
    wait_stage(running, "policies", "planner-v2", "Draft")


def test_the_rollouts_that_the_operator_started_go_with_their_doer(
    operator: OperatorProcess, objects: Objects
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    follow(objects, "planner-v2")
    serves(objects, "planner-v1", "planner-v2")
    assert canary_of(objects, "planner-v2")
    objects.delete("doers", "planner")
    wait_until(lambda: not canaries(objects), what="the canary to be gone", deadline_seconds=60)
    objects.doer(rollout=HALF)
    serves(objects, "planner-v1")
    wait_stage(objects, "policies", "planner-v2", "Draft")

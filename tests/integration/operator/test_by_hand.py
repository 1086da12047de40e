"""CanaryDeployments that people make: in turn, and without git."""

from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    canaries,
    condition,
    first_policy,
    follow,
    message,
    order,
    second_policy,
    seen,
    serves,
    wait_stage,
    wait_status,
)
from tests.integration.operator.served import Served


def test_the_oldest_of_two_goes_first_and_the_other_afterwards(
    operator: OperatorProcess, objects: Objects
) -> None:
    by_hand(objects, rollout=HALF)
    with Served(objects) as served:
        second_policy(objects, "planner-v3")
        objects.canary("c2", candidate="planner-v3", **HALF)
        told = wait_status(
            objects,
            "canarydeployments",
            "c2",
            lambda one: condition(one, "Stalled") == ("True", "Conflict"),
            what="the second canary to wait",
        )
        assert told["stage"] == "Pending"
        assert "canary c1 of the same doer goes first" in message(told, "Stalled")
        assert message(told, "Stalled") == told["waitingFor"]
        assert condition(objects.get("canarydeployments", "c1")["status"], "Stalled")[0] == "False"
        order(objects, "Abort", "make-room")
        serves(objects, "planner-v1", "planner-v3")
        told = wait_stage(objects, "canarydeployments", "c2", "Canary")
        assert condition(told, "Stalled")[0] == "False"
        served.wait(
            [
                ("planner-v1", "planner-v2"),
                ("planner-v1",),
                ("planner-v1", "planner-v3"),
            ]
        )


def test_a_policy_promoted_by_hand_leaves_git_behind_and_starts_nothing_back(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    by_hand(objects, rollout=HALF)
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "SpecBehind") == ("True", "OtherPolicyActive"),
        what="the doer to say that git is behind",
    )
    assert message(told, "SpecBehind") == ("spec.policyRef names planner-v1, active is planner-v2")
    # Applied once more as it is in git: not a change of policyRef.
    objects.api.merge(objects.path("doers", "planner"), {"spec": {"rollout": {"revert": "Canary"}}})
    seen(objects, "doers", "planner")
    serves(objects, "planner-v2")
    assert len(canaries(objects)) == 1
    follow(objects, "planner-v2")
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "SpecBehind") == ("False", "InSync"),
        what="git to have caught up",
    )
    assert len(canaries(objects)) == 1


def test_a_canary_of_a_candidate_that_is_not_there_waits_for_it(
    operator: OperatorProcess, objects: Objects
) -> None:
    first_policy(objects, rollout=HALF)
    objects.canary(**HALF)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: condition(one, "Stalled") == ("True", "PolicyNotFound"),
        what="the canary to say what is missing",
    )
    assert "planner-v2" in message(told, "Stalled")
    second_policy(objects)
    serves(objects, "planner-v1", "planner-v2")

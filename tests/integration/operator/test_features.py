"""`--disable canaries`: nothing goes up, and what is worse still comes down."""

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import (
    HALF,
    canary_of,
    condition,
    first_policy,
    follow,
    second_policy,
    serves,
    wait_stage,
    wait_status,
)

DISABLED = ("True", "FeatureDisabled")


def test_candidates_wait_for_the_feature_and_lose_their_share_without_it(
    start_operator: Start, objects: Objects, migrated: str
) -> None:
    first = start_operator(disable="canaries")
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    follow(objects, "planner-v2")
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: one.get("handledPolicyRef") == "planner-v2",
        what="the canary to be made",
    )
    name = canary_of(objects, "planner-v2")
    waiting = wait_status(
        objects,
        "canarydeployments",
        name,
        lambda one: condition(one, "Reconciling") == DISABLED,
        what="the canary to wait for the feature",
    )
    assert (waiting["stage"], told["activePolicy"]) == ("Pending", "planner-v1")
    assert waiting["waitingFor"] == "the operator to be started without --disable canaries"
    serves(objects, "planner-v1")
    first.stop()

    second = start_operator()
    serves(objects, "planner-v1", "planner-v2")
    wait_stage(objects, "canarydeployments", name, "Canary")
    second.stop()

    start_operator(disable="canaries")
    wait_status(
        objects,
        "canarydeployments",
        name,
        lambda one: condition(one, "Reconciling") == DISABLED,
        what="the live canary to hold",
    )
    losses = {"planner-v1": 0.2, "planner-v2": 0.8}
    agents = Agents(objects=objects, database=migrated, losses=losses)
    agents.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    wait_stage(objects, "canarydeployments", name, "RolledBack")
    wait_stage(objects, "policies", "planner-v2", "Rejected")


def test_better_is_not_promoted_without_the_feature(
    start_operator: Start, objects: Objects, migrated: str
) -> None:
    first = start_operator()
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**HALF)
    serves(objects, "planner-v1", "planner-v2")
    first.stop()
    second = start_operator(disable="canaries")
    losses = {"planner-v1": 0.8, "planner-v2": 0.2}
    agents = Agents(objects=objects, database=migrated, losses=losses)
    agents.work(runs=200)

    def proved(one: Json) -> bool:
        evidence = one["candidates"][0].get("evidence", {})
        return float(evidence.get("promote", 0)) > float(evidence.get("promoteThreshold", 1))

    told = wait_status(
        objects, "canarydeployments", "c1", proved, what="the candidate to be shown better"
    )
    assert (told["stage"], told["recommendation"]) == ("Canary", "Hold")
    assert condition(told, "Reconciling") == DISABLED
    second.stop()
    start_operator()
    wait_stage(objects, "canarydeployments", "c1", "Promoted")
    serves(objects, "planner-v2")

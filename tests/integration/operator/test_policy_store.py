"""Policies: immutable, with digest and lineage, one of a doer Active."""

import pytest

from testbed.kubeapi import ApiError, Json
from testbed.watcher import Watcher
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    condition,
    first_policy,
    follow,
    message,
    second_policy,
    serves,
    status,
    wait_stage,
    wait_status,
)


def test_content_does_not_change(operator: OperatorProcess, objects: Objects) -> None:
    first_policy(objects)
    digest = wait_stage(objects, "policies", "planner-v1", "Active")["digest"]
    with pytest.raises(ApiError, match="must not change: create a new Policy instead"):
        objects.api.merge(objects.path("policies", "planner-v1"), {"spec": {"version": "1.0.1"}})
    assert status(objects, "policies", "planner-v1")["digest"] == digest


def test_digest_is_of_everything_and_identity_of_content_alone(
    operator: OperatorProcess, objects: Objects
) -> None:
    first_policy(objects)
    prompts = objects.get("policies", "planner-v1")["spec"]["prompts"]
    second_policy(objects, prompts=prompts)
    second_policy(objects, "planner-v3")
    first = wait_stage(objects, "policies", "planner-v1", "Active")
    renamed = wait_stage(objects, "policies", "planner-v2", "Draft")
    other = wait_stage(objects, "policies", "planner-v3", "Draft")
    assert renamed["identity"] == first["identity"] != other["identity"]
    assert renamed["digest"] != first["digest"]


def test_lineage_is_told_oldest_first_once_every_parent_is_there(
    operator: OperatorProcess, objects: Objects
) -> None:
    first_policy(objects)
    objects.policy("planner-v3", version="3.0.0", parentRef={"name": "planner-v2"})
    told = stalled(objects, "planner-v3", "ParentNotFound")
    assert "planner-v2, which is no policy of this doer" in message(told, "Stalled")
    follow(objects, "planner-v3")
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "Stalled") == ("True", "ParentNotFound"),
        what="the doer to say that its policyRef cannot start",
    )
    serves(objects, "planner-v1")
    second_policy(objects)
    told = wait_status(
        objects,
        "policies",
        "planner-v3",
        lambda one: one.get("lineage") == ["planner-v1", "planner-v2"],
        what="the lineage",
    )
    assert condition(told, "Stalled")[0] == "False"
    serves(objects, "planner-v1", "planner-v3")


def test_a_lineage_that_goes_in_a_circle_is_named(
    operator: OperatorProcess, objects: Objects
) -> None:
    first_policy(objects)
    objects.policy("planner-v2", version="2.0.0", parentRef={"name": "planner-v3"})
    objects.policy("planner-v3", version="3.0.0", parentRef={"name": "planner-v2"})
    told = stalled(objects, "planner-v2", "LineageCycle")
    assert "planner-v2 -> planner-v3 -> planner-v2" in message(told, "Stalled")
    stalled(objects, "planner-v3", "LineageCycle")
    objects.canary(**HALF)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: condition(one, "Stalled") == ("True", "LineageCycle"),
        what="the canary to wait",
    )
    serves(objects, "planner-v1")


def test_there_is_one_active_policy_at_every_moment(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    by_hand(objects, rollout=HALF)
    stages: dict[str, str] = {}
    most = 0

    def on_policy(_kind: str, policy: Json) -> None:
        nonlocal most
        stages[policy["metadata"]["name"]] = policy.get("status", {}).get("stage", "")
        most = max(most, list(stages.values()).count("Active"))

    watcher = Watcher(objects.api, objects.path("policies"), on_policy, name="policies")
    watcher.start()
    watcher.wait_listed()
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    winner = wait_stage(objects, "policies", "planner-v2", "Active")
    replaced = wait_stage(objects, "policies", "planner-v1", "Archived")
    watcher.stop()
    assert most == 1
    gates = [(one["name"], one["outcome"]) for one in winner["gates"]]
    assert gates == [("Shadow", "Skipped"), ("Canary", "Passed")]
    assert [one["to"] for one in winner["history"]] == ["Draft", "Canary", "Active"]
    assert replaced["history"][-1]["why"] == "replaced by planner-v2"


def stalled(objects: Objects, policy: str, reason: str) -> Json:
    return wait_status(
        objects,
        "policies",
        policy,
        lambda one: condition(one, "Stalled") == ("True", reason),
        what=f"{policy} to be {reason}",
    )

"""A doer that comes back without its status is rebuilt from `policy_promotions`."""

import pytest

from testbed.kubeapi import ApiError, Json
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    canaries,
    condition,
    first_policy,
    follow,
    message,
    second_policy,
    serves,
    shares,
    wait_event,
    wait_stage,
    wait_status,
)


@pytest.fixture
def rejected(operator: OperatorProcess, objects: Objects, run_log: str) -> Objects:
    """planner-v2 was tried by a changed policyRef, and rejected."""
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    follow(objects, "planner-v2")
    serves(objects, "planner-v1", "planner-v2")
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.2, "planner-v2": 0.8}
    )
    agents.until(lambda told: len(shares(told)) == 1, what="the roll-back")
    wait_stage(objects, "policies", "planner-v2", "Rejected")
    wait_status(
        objects, "doers", "planner", lambda one: not one.get("pendingAudit"), what="all on record"
    )
    return objects


def apply_again(objects: Objects) -> None:
    """Delete the doer and apply it as it is in git: with the policyRef that was rejected."""
    delete(objects, "doers", "planner")
    objects.doer(policy="planner-v2", rollout=HALF)


def delete(objects: Objects, plural: str, name: str) -> None:
    objects.delete(plural, name)
    wait_until(
        lambda: objects.api.find(objects.path(plural, name)) is None,
        what=f"{name} to be gone",
        deadline_seconds=30,
    )


def stays_rejected(objects: Objects) -> None:
    """planner-v1 has everything, planner-v2 nothing, and the doer says why."""
    told = serves(objects, "planner-v1")
    assert told["activePolicy"] == "planner-v1"
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "Stalled") == ("True", "PolicyRejected"),
        what="the doer to say that its policyRef was rejected",
    )
    assert "planner-v2" in message(told, "Stalled")
    wait_stage(objects, "policies", "planner-v1", "Active")
    wait_stage(objects, "policies", "planner-v2", "Rejected")
    assert live(objects) == []


def live(objects: Objects) -> list[Json]:
    ended = ("RolledBack", "Aborted", "Superseded", "Promoted")
    return [one for one in canaries(objects) if one.get("status", {}).get("stage") not in ended]


def test_a_doer_applied_again_serves_what_it_served(rejected: Objects) -> None:
    apply_again(rejected)
    stays_rejected(rejected)
    assert "planner-v1" in wait_event(rejected, "planner", "Rebuilt")["note"]


def test_a_rejected_policy_stays_rejected_when_everything_is_applied_again(
    rejected: Objects,
) -> None:
    for name in ("planner-v1", "planner-v2"):
        delete(rejected, "policies", name)
    apply_again(rejected)
    rejected.policy("planner-v1")
    second_policy(rejected)
    stays_rejected(rejected)


def test_a_rejected_policy_does_not_come_back_under_another_name(rejected: Objects) -> None:
    prompts = rejected.get("policies", "planner-v2")["spec"]["prompts"]
    second_policy(rejected, "planner-v9", prompts=prompts)
    wait_stage(rejected, "policies", "planner-v9", "Rejected")
    follow(rejected, "planner-v9")
    told = wait_status(
        rejected,
        "doers",
        "planner",
        lambda one: one.get("handledPolicyRef") == "planner-v9",
        what="the policyRef to be handled",
    )
    assert condition(told, "Stalled") == ("True", "PolicyRejected")
    serves(rejected, "planner-v1")


def test_without_postgres_nothing_is_served_until_it_is_back(
    rejected: Objects, stack: Stack
) -> None:
    delete(rejected, "doers", "planner")
    stack.postgres.stop()
    try:
        rejected.doer(policy="planner-v2", rollout=HALF)
        told = wait_status(
            rejected,
            "doers",
            "planner",
            lambda one: condition(one, "Stalled") == ("True", "NoHistory"),
            what="the doer to wait for the run log",
            seconds=60,
        )
        assert "traffic" not in told
        assert condition(told, "Ready") == ("False", "NoHistory")
    finally:
        stack.postgres.start()
    stays_rejected(rejected)


def test_the_status_of_a_live_doer_cannot_be_emptied(rejected: Objects) -> None:
    path = f"{rejected.path('doers', 'planner')}/status"
    with pytest.raises(ApiError, match=r"status\.traffic: .* must not be removed"):
        rejected.api.merge(path, {"status": {"traffic": None}})
    serves(rejected, "planner-v1")

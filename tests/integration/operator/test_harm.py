"""What is wrong with one object, or with the operator's rights, stops nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.stack import Stack
from tests.accounts import withdrawn
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    condition,
    follow,
    message,
    second_policy,
    serves,
    status,
    wait_event,
    wait_stage,
    wait_status,
)


def wait_stalled(objects: Objects, plural: str, name: str, reason: str) -> str:
    """Wait until an object is Stalled for a reason; the message."""
    told = wait_status(
        objects,
        plural,
        name,
        lambda one: condition(one, "Stalled") == ("True", reason),
        what=f"{name} to be Stalled for {reason}",
    )
    return message(told, "Stalled")


def test_bad_objects_harm_only_themselves(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    by_hand(objects, rollout=HALF)
    objects.policy("orphan", version="9.0.0", parentRef={"name": "nobody"})
    objects.canary("no-candidate", candidate="nobody", **HALF)
    objects.canary("bad-lineage", candidate="orphan", **HALF)
    objects.policy("stray", doer="nobody")
    objects.canary("strayed", candidate="stray", **HALF)
    assert "nobody" in wait_stalled(objects, "policies", "orphan", "ParentNotFound")
    assert "nobody" in wait_stalled(objects, "canarydeployments", "no-candidate", "PolicyNotFound")
    assert "orphan" in wait_stalled(objects, "canarydeployments", "bad-lineage", "ParentNotFound")
    assert "doer nobody" in wait_stalled(objects, "policies", "stray", "DoerNotFound")
    assert "stray" in wait_stalled(objects, "canarydeployments", "strayed", "PolicyNotFound")
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    serves(objects, "planner-v2")
    wait_stage(objects, "canarydeployments", "c1", "Promoted")


def test_a_policy_ref_that_leads_nowhere_leaves_traffic_alone(
    operator: OperatorProcess, objects: Objects
) -> None:
    by_hand(objects, rollout=HALF)
    follow(objects, "nobody")
    assert "nobody" in wait_stalled(objects, "doers", "planner", "PolicyNotFound")
    serves(objects, "planner-v1", "planner-v2")
    follow(objects, "planner-v1")
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "Stalled")[0] == "False",
        what="the doer to be well again",
    )
    assert condition(told, "Ready") == ("True", "Serving")


@pytest.fixture
def no_status_of_canaries(
    stack: Stack, operator_kubeconfig: Path
) -> Iterator[Callable[[bool], None]]:
    """The operator may not write the status of canaries; called with False, it may again."""
    with withdrawn(stack.plane.api, "canarydeployments/status", ("update",)) as switch:
        switch(True)
        yield switch


def test_a_right_that_is_missing_is_named_and_other_doers_go_on(
    operator: OperatorProcess,
    objects: Objects,
    no_status_of_canaries: Callable[[bool], None],
) -> None:
    objects.doer(rollout=HALF)
    objects.policy("planner-v1")
    serves(objects, "planner-v1")
    second_policy(objects)
    objects.canary(**HALF)
    told = wait_stalled(objects, "doers", "planner", "Forbidden")
    assert 'cannot update resource "canarydeployments/status"' in told
    assert "canarydeployments/status" in wait_event(objects, "planner", "Forbidden")["note"]
    # Nothing goes up that could not be told.
    serves(objects, "planner-v1")
    objects.doer("writer", policy="writer-v1", rollout=HALF)
    objects.policy("writer-v1", doer="writer")
    serves(objects, "writer-v1", doer="writer")
    assert condition(status(objects, "doers", "writer"), "Stalled")[0] == "False"
    no_status_of_canaries(False)
    serves(objects, "planner-v1", "planner-v2")
    wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "Stalled")[0] == "False",
        what="the refusal to be taken back",
    )

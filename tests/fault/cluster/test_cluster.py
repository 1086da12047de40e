"""What a cluster does to an operator: CRDs come late or go, rights are missing, the log is away."""

import asyncio
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from learnops.adapters.kube.connection import credentials
from learnops.handlers.watch import KopfSession, UnwatchedError
from testbed.kubeapi import Json
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.accounts import withdrawn
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.conftest import Start
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import condition, first_policy, follow, serves, status

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture
def crd(stack: Stack, operator_kubeconfig: Path) -> Iterator[Path]:
    """The CRD of the Doers, there again when the test has ended."""
    path = CRDS / "learnops.dev_doers.yaml"
    yield path
    apply(stack, path)


def apply(stack: Stack, path: Path) -> None:
    stack.plane.kubectl("apply", "--server-side", f"--filename={path}")
    stack.plane.wait_established()


def test_a_missing_crd_is_waited_for_and_named(
    stack: Stack, crd: Path, objects: Objects, start_operator: Start
) -> None:
    stack.plane.kubectl("delete", f"--filename={crd}")
    operator = start_operator()
    operator.wait_phase("waiting for doers.learnops.dev")
    assert operator.status("/readyz") == 503
    assert operator.status("/livez") == 200
    apply(stack, crd)
    operator.wait_phase("active")
    assert first_policy(objects)["activePolicy"] == "planner-v1"


def test_a_crd_that_goes_and_comes_back_is_watched_again(
    stack: Stack, crd: Path, objects: Objects, start_operator: Start
) -> None:
    operator = start_operator()
    first_policy(objects)
    stack.plane.kubectl("delete", f"--filename={crd}")
    wait_gone(operator)
    apply(stack, crd)
    operator.wait_phase("active")
    # The same doer, deleted with its CRD and applied again: rebuilt from the run log.
    objects.doer()
    told = serves(objects, "planner-v1")
    assert told["activePolicy"] == "planner-v1"
    assert operator.process.running


async def test_a_watch_that_would_be_deaf_to_a_kind_ends(
    stack: Stack, crd: Path, objects: Objects, operator_kubeconfig: Path
) -> None:
    stack.plane.kubectl("delete", f"--filename={crd}")
    session = KopfSession(
        receive=lambda _event, _raw: None,
        login=partial(credentials, kubeconfig=operator_kubeconfig),
        namespaces=(objects.namespace,),
    )
    async with asyncio.timeout(20):
        ended = await session.run()
    assert isinstance(ended, UnwatchedError)
    assert str(ended) == "kopf found no doers"


@pytest.fixture
def no_reading(stack: Stack, operator_kubeconfig: Path) -> Iterator[Callable[[bool], None]]:
    """Called with True, it takes away the right to list doers; False gives it back."""
    with withdrawn(stack.plane.api, "doers", ("list", "watch")) as switch:
        yield switch


def test_a_list_that_is_refused_is_named_and_a_crd_that_goes_meanwhile_too(
    stack: Stack,
    crd: Path,
    no_reading: Callable[[bool], None],
    objects: Objects,
    start_operator: Start,
) -> None:
    operator = start_operator()
    operator.wait_phase("active")
    stack.plane.kubectl("delete", f"--filename={crd}")
    wait_gone(operator)
    no_reading(True)
    apply(stack, crd)
    wait_until(
        lambda: re.match("waiting for a list of all objects .*doers: 403", operator.phase()),
        what="the operator to say that it may not list",
        deadline_seconds=30,
        explain=operator.explain,
    )
    assert operator.status("/readyz") == 503
    stack.plane.kubectl("delete", f"--filename={crd}")
    operator.wait_phase("waiting for doers.learnops.dev")
    no_reading(False)
    apply(stack, crd)
    operator.wait_phase("active")
    first_policy(objects)


@pytest.fixture
def no_creating(stack: Stack, operator_kubeconfig: Path) -> Iterator[Callable[[bool], None]]:
    """The operator may not create canaries; called with False, it may again."""
    with withdrawn(stack.plane.api, "canarydeployments", ("create",)) as switch:
        switch(True)
        yield switch


def test_a_missing_right_is_named_and_the_work_goes_on_when_it_is_granted(
    no_creating: Callable[[bool], None], objects: Objects, start_operator: Start
) -> None:
    start_operator()
    first_policy(objects)
    objects.policy("planner-v2", version="2.0.0", parentRef={"name": "planner-v1"})
    follow(objects, "planner-v2")
    stalled = wait_until(
        lambda: (
            (one := status(objects, "doers", "planner"))
            and condition(one, "Stalled") == ("True", "Forbidden")
            and one
        ),
        what="the doer to say what is forbidden",
        deadline_seconds=30,
    )
    (message,) = (one["message"] for one in stalled["conditions"] if one["type"] == "Stalled")
    assert 'cannot create resource "canarydeployments"' in message
    assert "Forbidden" in {one["reason"] for one in objects.events("planner")}
    assert stalled["traffic"]["shares"] == [{"policy": "planner-v1", "percent": 100}]
    no_creating(False)
    wait_until(
        lambda: (
            (one := status(objects, "doers", "planner")).get("currentRollout")
            and condition(one, "Stalled")[1] != "Forbidden"
        ),
        what="the rollout to begin",
        deadline_seconds=90,
    )


def test_without_the_run_log_nothing_goes_up_and_it_goes_on_when_it_is_back(
    stack: Stack, objects: Objects, start_operator: Start, migrated: str
) -> None:
    operator = start_operator()
    first_policy(objects)
    objects.policy("planner-v2", version="2.0.0", parentRef={"name": "planner-v1"})
    follow(objects, "planner-v2")
    agents = Agents(
        objects=objects, database=migrated, losses={"planner-v1": 0.5, "planner-v2": 0.2}
    )
    wait_until(
        lambda: len(agents.traffic()["shares"]) == 2, what="the rollout", deadline_seconds=30
    )
    served = agents.traffic()
    stack.postgres.kill()
    try:
        told = wait_until(
            lambda: (
                condition(one := canary(objects), "EvidenceAvailable")
                == ("False", "RunLogUnavailable")
                and one
            ),
            what="the canary to say what it waits for",
            deadline_seconds=60,
        )
        assert "evidence: run log: " in told["waitingFor"]
        assert agents.traffic() == served
        assert operator.status("/livez") == 200
    finally:
        stack.postgres.start()
    agents.until(
        lambda one: one.get("activePolicy") == "planner-v2", what="planner-v2 to be promoted"
    )


def test_a_policy_that_the_run_log_may_know_waits_for_it(
    stack: Stack, objects: Objects, start_operator: Start
) -> None:
    start_operator()
    first_policy(objects)
    stack.postgres.kill()
    try:
        objects.policy("planner-v2", version="2.0.0", parentRef={"name": "planner-v1"})
        follow(objects, "planner-v2")
        wait_until(
            lambda: (
                (one := status(objects, "policies", "planner-v2"))
                and condition(one, "Ready") == ("False", "NoHistory")
            ),
            what="the policy to wait for the run log",
            deadline_seconds=60,
        )
        assert objects.api.get(objects.path("canarydeployments"))["items"] == []
    finally:
        stack.postgres.start()
    wait_until(
        lambda: status(objects, "doers", "planner").get("currentRollout"),
        what="the rollout to begin",
        deadline_seconds=60,
    )


def wait_gone(operator: OperatorProcess) -> None:
    """Wait until it says that there is no CRD of the Doers any more."""
    wait_until(
        lambda: operator.phase().startswith("waiting for doers"),
        what="the operator to notice",
        deadline_seconds=60,
        explain=operator.explain,
    )


def canary(objects: Objects) -> Json:
    """The status of the only canary."""
    (found,) = objects.api.get(objects.path("canarydeployments"))["items"]
    told: Json = found.get("status", {})
    return told

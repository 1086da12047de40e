"""Faults between the operator and the API server: it hears what comes later, and steps once.

One operator for all: each test has a doer of its own, and leaves the proxy without faults.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.faults import Answer, Broken, Fault, OpenWatch, Reset, Slow
from testbed.stack import Stack
from tests.fault.proxied import KINDS, Proxied, proxied

# What a silent watch may cost: the 30 s of the setting, and what a busy machine takes to connect
# again and to begin a rollout.
STALL_SECONDS = 60.0


@pytest.fixture(scope="module")
def world(stack: Stack, operator_kubeconfig: Path) -> Iterator[Proxied]:
    with proxied(stack, operator_kubeconfig) as running:
        yield running


@pytest.fixture(autouse=True)
def healed(world: Proxied) -> Iterator[None]:
    """No test leaves a fault, and none ends the operator."""
    yield
    world.proxy.heal()
    assert world.operator.process.running


def open_watches(world: Proxied) -> list[OpenWatch]:
    """The watch of each kind, once all are open."""

    def found() -> list[OpenWatch]:
        return [one for kind in KINDS for one in world.proxy.watches(kind)]

    world.wait(lambda: len(found()) == len(KINDS), what="a watch of each kind", seconds=60)
    return found()


ENDS: dict[str, Callable[[OpenWatch], None]] = {
    "gone": OpenWatch.gone,
    "reset": OpenWatch.reset,
    "truncated": OpenWatch.truncate,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_watch_that_ends_is_taken_up_again(world: Proxied, end: str) -> None:
    doer = f"end-{end}"
    before = world.serve(doer)
    for watch in open_watches(world):
        ENDS[end](watch)
    world.follow(doer)
    canary = world.wait_rollout(doer)
    world.check_one_step(doer, before=before)
    world.objects.delete("canarydeployments", canary["metadata"]["name"])
    world.wait_end(doer)


def test_one_broken_watch_does_not_leave_the_others_hanging(world: Proxied) -> None:
    before = world.serve("broken")
    open_watches(world)
    (watch,) = world.proxy.watches("policies")
    watch.truncate()
    world.follow("broken")
    world.wait_rollout("broken")
    world.check_one_step("broken", before=before)


@pytest.mark.parametrize("status", [403, 410, 429, 500])
def test_a_watch_that_is_refused_is_asked_for_again(world: Proxied, status: int) -> None:
    doer = f"refused-{status}"
    before = world.serve(doer)
    watches = open_watches(world)
    headers = {"Retry-After": "1"} if status == 429 else {}
    refused = Answer(status=status, headers=headers)
    rules = [world.proxy.fault(refused, verb="watch", resource=kind) for kind in KINDS]
    for watch in watches:
        watch.reset()
    world.wait(lambda: all(rule.spent for rule in rules), what="the refusals")
    world.follow(doer)
    canary = world.wait_rollout(doer)
    world.check_one_step(doer, before=before)
    world.objects.delete("canarydeployments", canary["metadata"]["name"])
    world.wait_end(doer)


def test_a_deletion_in_a_gap_of_the_watch_is_noticed(world: Proxied) -> None:
    world.serve("gap")
    world.follow("gap")
    name = world.wait_rollout("gap")["metadata"]["name"]
    open_watches(world)
    (watch,) = world.proxy.watches("canarydeployments")
    watch.stall()
    world.objects.delete("canarydeployments", name)
    world.wait(lambda: watch.swallowed > 0, what="the deletion to be lost")
    watch.gone()  # so the client lists again, and in a list nothing is deleted
    world.wait_end("gap")


def test_a_watch_that_falls_silent_does_not_make_it_deaf(world: Proxied) -> None:
    before = world.serve("silent")
    watches = open_watches(world)
    for watch in watches:
        watch.stall()
    world.follow("silent")
    world.wait_rollout("silent", seconds=STALL_SECONDS)
    assert any(watch.swallowed for watch in watches)
    world.check_one_step("silent", before=before)


WRITES: dict[str, Fault] = {
    "conflict": Answer(status=409),
    "invalid": Answer(status=422),
    "busy": Answer(status=429, headers={"Retry-After": "1"}),
    "error": Answer(status=500),
    "cut": Reset(),
    "unheard": Reset(after=True),
    "truncated": Broken(),
    "late": Slow(seconds=1.0),
}


@pytest.mark.parametrize("case", WRITES)
def test_a_fault_on_a_status_write_loses_nothing(world: Proxied, case: str) -> None:
    doer = f"write-{case}"
    before = world.serve(doer)
    rules = [
        world.proxy.fault(WRITES[case], verb="update", resource=f"{kind}/status") for kind in KINDS
    ]
    world.follow(doer)
    world.wait_rollout(doer)
    assert all(rule.spent for rule in rules)
    world.check_one_step(doer, before=before)


@pytest.mark.parametrize("case", ["conflict", "busy", "unheard"])
def test_a_fault_on_the_creation_of_a_canary_makes_no_second_one(world: Proxied, case: str) -> None:
    doer = f"create-{case}"
    before = world.serve(doer)
    rule = world.proxy.fault(WRITES[case], verb="create", resource="canarydeployments")
    world.follow(doer)
    world.wait_rollout(doer)
    assert rule.spent
    world.check_one_step(doer, before=before)


def test_a_server_that_says_when_to_come_back_is_not_asked_before(world: Proxied) -> None:
    world.serve("patient")
    busy = Answer(status=429, headers={"Retry-After": "3"})
    rule = world.proxy.fault(busy, verb="update", resource="doers/status")
    world.follow("patient")
    world.wait(lambda: rule.spent, what="the 429")
    # News of the doer make nobody impatient.
    note = {"metadata": {"annotations": {"example.com/note": "hello"}}}
    world.objects.api.merge(world.objects.path("doers", "patient"), note)
    world.wait_rollout("patient")
    refused = rule.met[0].at
    later = [
        asked.at
        for asked, _status in world.proxy.answered()
        if asked.resource.endswith("/status") and "patient" in asked.name and asked.at > refused
    ]
    assert 3.0 <= min(later) - refused < 20.0

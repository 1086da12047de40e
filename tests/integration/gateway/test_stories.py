"""Whole rollouts through the weights of a user's HTTPRoute."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from testbed.kubeapi import Json
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.gateway.world import (
    make_pod,
    make_route,
    make_service,
    refs,
    wait_endpoints,
    weights_of,
)
from tests.integration.objects import Objects
from tests.integration.operator.counted import CountedAgents, Counters, scraped
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    FAST,
    condition,
    first_policy,
    follow,
    message,
    second_policy,
    serves,
    shares,
    status,
    wait_event,
    wait_stage,
    wait_status,
)

A, B = "planner-a", "planner-b"
TRAFFIC = {
    "router": "GatewayAPI",
    "routeRef": {"name": "planner"},
    "backends": [A, B],
    "settleSeconds": 0,
}
ROLLOUT = {**FAST, "analysis": {**FAST["analysis"], "source": "Prometheus"}}


@dataclass(kw_only=True)
class Slots:
    """The route's two Services and the pods behind them."""

    stack: Stack
    objects: Objects
    counters: Counters
    route: str

    def serve(self, backend: str, policy: str) -> None:
        """Replace the pods behind a backend by one that serves a policy."""
        api, namespace = self.stack.plane.api, self.objects.namespace
        pods = f"/api/v1/namespaces/{namespace}/pods"
        for pod in api.get(pods, query={"labelSelector": f"app={backend}"})["items"]:
            api.delete(f"{pods}/{pod['metadata']['name']}", body={"gracePeriodSeconds": 0})
        digest = wait_status(
            self.objects, "policies", policy, lambda one: one.get("digest"), what="the digest"
        )["digest"]
        make_pod(self.stack, namespace, f"{backend}-{policy}", app=backend, digest=digest)
        wait_endpoints(self.stack, namespace, backend, ready=1, all_=1)

    def weights(self, first: int, second: int) -> None:
        """Wait for the weights of both backends."""
        wait_until(
            lambda: weights_of(self.stack, self.route) == [first, second],
            what=f"weights {first}/{second}",
            deadline_seconds=40,
            explain=lambda: f"{weights_of(self.stack, self.route)}: {self.doer()}",
        )

    def agents(self, **losses: float) -> CountedAgents:
        """Agents of planner-v1, planner-v2 …, named v1, v2 …"""
        return CountedAgents(
            objects=self.objects,
            counters=self.counters,
            losses={f"planner-{name}": loss for name, loss in losses.items()},
        )

    def doer(self) -> Json:
        return status(self.objects, "doers", "planner")

    def canary(self) -> Json:
        """The status of the doer's live canary."""
        name = self.doer().get("currentRollout")
        return status(self.objects, "canarydeployments", name) if name else {}

    def start(self, policy: str, *, slot: str) -> None:
        """Apply a policy, turn policyRef to it, and let pods serve it."""
        second_policy(self.objects, policy)
        follow(self.objects, policy)
        self.serve(slot, policy)


@pytest.fixture
def counters(stack: Stack) -> Iterator[Counters]:
    with scraped(stack) as found:
        yield found


@pytest.fixture
def slots(
    stack: Stack, objects: Objects, operator: OperatorProcess, counters: Counters, node: str
) -> Slots:
    """planner-v1 on the first slot, nothing on the second."""
    for name in (A, B):
        make_service(stack, objects.namespace, name)
    rule = {"backendRefs": refs((A, 100), (B, 0))}
    route = make_route(stack, objects.namespace, [rule], name="planner")
    made = Slots(stack=stack, objects=objects, counters=counters, route=route)
    first_policy(objects, rollout=ROLLOUT, traffic=TRAFFIC)
    made.serve(A, "planner-v1")
    return made


def first_step(slots: Slots) -> Slots:
    """planner-v2 has its first share on the second slot, and the parent accepted it."""
    slots.start("planner-v2", slot=B)
    serves(slots.objects, "planner-v1", "planner-v2")
    slots.weights(90, 10)
    wait_until(
        lambda: (
            "stepTime" in slots.canary()
            and slots.doer()["traffic"]["routedRevision"] == slots.doer()["traffic"]["revision"]
        ),
        what="the first step to count",
        deadline_seconds=30,
    )
    return slots


@pytest.fixture
def stepping(slots: Slots) -> Slots:
    return first_step(slots)


def test_nothing_goes_to_a_slot_that_does_not_serve_the_candidate(slots: Slots) -> None:
    second_policy(slots.objects)
    follow(slots.objects, "planner-v2")
    canary = waiting(slots, "BackendNotReady")
    assert f"backend {B} has no ready endpoint" in canary["waitingFor"]
    slots.serve(B, "planner-v1")
    wait_until(
        lambda: "do not report the digest of planner-v2" in only_canary(slots)["waitingFor"],
        what="the canary to name the wrong digest",
        deadline_seconds=30,
    )
    slots.weights(100, 0)
    slots.serve(B, "planner-v2")
    slots.weights(90, 10)


def test_policies_take_turns_in_the_slots(stepping: Slots) -> None:
    stepping.agents(v1=0.8, v2=0.1).until(
        lambda one: one.get("activePolicy") == "planner-v2", what="planner-v2 to win", runs=100
    )
    stepping.weights(0, 100)
    assert stepping.doer()["traffic"]["activeBackend"] == B
    stepping.start("planner-v3", slot=A)
    stepping.weights(10, 90)
    stepping.agents(v2=0.1, v3=0.9).until(
        lambda one: shares(one) == [{"policy": "planner-v2", "percent": 100}],
        what="planner-v3 to be rolled back",
        runs=100,
    )
    stepping.weights(0, 100)
    wait_stage(stepping.objects, "policies", "planner-v3", "Rejected")


def test_a_step_counts_once_the_parent_accepted_it(slots: Slots) -> None:
    # No promotion from the first steps, so that each step is seen.
    rollout = {
        "strategy": {"canary": {"steps": [10, 25, 50]}},
        "analysis": {"minCandidateRuns": 50_000, "maxRuns": 1_000_000},
    }
    slots.objects.api.merge(slots.objects.path("doers", "planner"), {"spec": {"rollout": rollout}})
    first_step(slots)
    slots.stack.gateway.pause()
    agents = slots.agents(v1=0.8, v2=0.1)
    agents.until(lambda one: shares(one)[-1]["percent"] == 25, what="the second step", runs=100)
    slots.weights(75, 25)
    agents.until(lambda _: crossed(slots.canary()), what="evidence for every step", runs=100)
    wait_until(
        lambda: "to take over 25 % (HTTPRoute: parent" in slots.canary()["waitingFor"],
        what="the canary to wait for the gateway",
        deadline_seconds=30,
        explain=lambda: str(slots.canary()),
    )
    assert "stepTime" not in slots.canary()
    slots.weights(75, 25)
    slots.stack.gateway.resume()
    agents.until(lambda one: shares(one)[-1]["percent"] == 50, what="the third step", runs=100)
    slots.weights(50, 50)


def test_a_parent_that_refuses_holds_the_canary_and_no_roll_back(stepping: Slots) -> None:
    stepping.stack.gateway.refuse("NotAllowedByListeners", "no listener takes it")
    held = wait_until(
        lambda: condition(one := stepping.canary(), "Reconciling")[1] == "RouteNotAccepted" and one,
        what="the canary to be held",
        deadline_seconds=30,
    )
    assert "NotAllowedByListeners no listener takes it" in held["waitingFor"]
    served = stepping.doer()["traffic"]
    agents = stepping.agents(v1=0.1, v2=0.9)
    agents.until(lambda one: len(shares(one)) == 1, what="the roll-back", runs=100)
    assert stepping.doer()["traffic"]["revision"] == served["revision"] + 1
    stepping.weights(100, 0)


def test_weights_that_somebody_edits_are_corrected_and_told_once(stepping: Slots) -> None:
    rule = {"backendRefs": refs((A, 50), (B, 50))}
    stepping.stack.plane.api.merge(stepping.route, {"spec": {"rules": [rule]}})
    stepping.weights(90, 10)
    told = wait_event(stepping.objects, "planner", "RouteDrifted")
    assert told["note"] == "weights are 50/50, not 90/10"
    wait_status(
        stepping.objects,
        "doers",
        "planner",
        lambda one: condition(one, "RouteDrifted") == ("False", "Corrected"),
        what="the condition to be taken back",
    )
    assert shares(stepping.doer())[-1] == {"policy": "planner-v2", "percent": 10}


def test_a_route_has_one_doer(slots: Slots) -> None:
    objects = slots.objects
    objects.doer(
        "writer",
        policy="writer-v1",
        rollout=ROLLOUT,
        traffic=TRAFFIC,
    )
    objects.policy("writer-v1", doer="writer")
    told = wait_status(
        objects,
        "doers",
        "writer",
        lambda one: condition(one, "Stalled") == ("True", "Conflict"),
        what="the second doer to say that the route is taken",
    )
    assert "held by doer planner" in message(told, "Stalled")
    slots.weights(100, 0)


def crossed(canary: Json) -> bool:
    """The evidence suffices to promote."""
    evidence = (canary.get("candidates") or [{}])[0].get("evidence")
    return bool(evidence) and float(evidence["promote"]) >= float(evidence["promoteThreshold"])


def only_canary(slots: Slots) -> Json:
    """The status of the only canary."""
    (canary,) = slots.objects.api.get(slots.objects.path("canarydeployments"))["items"]
    found: Json = canary.get("status", {})
    return found


def waiting(slots: Slots, reason: str) -> Json:
    """Wait until the only canary waits for a reason; its status."""
    wait_until(
        lambda: slots.objects.api.get(slots.objects.path("canarydeployments"))["items"],
        what="the canary",
        deadline_seconds=30,
    )
    return wait_until(
        lambda: condition(one := only_canary(slots), "Reconciling") == ("True", reason) and one,
        what=f"the canary to wait for {reason}",
        deadline_seconds=30,
    )

"""config/rbac.yaml grants the operator what it needs, nothing else: told from what it asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testbed.faults import Answer, OpenWatch, Reset
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.fault.proxied import Proxied, proxied
from tests.integration.gateway.routes import rule
from tests.integration.gateway.world import (
    make_pod,
    make_route,
    make_service,
    wait_answered,
    wait_endpoints,
    weights_of,
)

RBAC = Path(__file__).parents[2] / "config" / "rbac.yaml"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/learnops-system/leases/learnops-operator"
Right = tuple[str, str, str]


@pytest.fixture
def world(stack: Stack, operator_kubeconfig: Path) -> Iterator[Proxied]:
    """The first operator of this cluster: it makes the Lease."""
    if stack.plane.api.find(LEASE) is not None:
        stack.plane.api.delete(LEASE)
    with proxied(stack, operator_kubeconfig) as running:
        yield running


@pytest.fixture
def node(stack: Stack) -> Iterator[str]:
    """The endpoint controller leaves out pods of a node that does not exist."""
    name = "gateway-tests"
    stack.plane.api.create("/api/v1/nodes", {"metadata": {"name": name}})
    yield name
    stack.plane.api.delete(f"/api/v1/nodes/{name}")


def granted() -> set[Right]:
    """Every right that the file binds to the operator, whose name its roles bear."""
    rights: set[Right] = set()
    for document in yaml.safe_load_all(RBAC.read_text()):
        if not document["metadata"]["name"].startswith("learnops-operator"):
            continue
        for one in document.get("rules", []):
            rights |= {
                (group, resource, verb)
                for group in one["apiGroups"]
                for resource in one["resources"]
                for verb in one["verbs"]
            }
    return rights


def test_each_right_is_used_and_none_is_missing(stack: Stack, world: Proxied, node: str) -> None:
    play_rollout(world)
    play_repeated_event(world)
    play_gateway(stack, world)

    def unused() -> set[Right]:
        return granted() - {asked.right for asked, _status in world.proxy.answered()}

    # The Lease is renewed every few seconds, and an answer is noted once it was passed on.
    wait_until(
        lambda: not unused(),
        what="each right to be used",
        deadline_seconds=30,
        explain=lambda: f"not used: {sorted(unused())}",
    )
    assert [asked for asked, status in world.proxy.answered() if status == 403] == []


def fresh_watch(world: Proxied, resource: str) -> OpenWatch:
    """A watch just opened: the API server ends each after 25 s, also one that is stalled."""
    world.wait(lambda: bool(world.proxy.watches(resource)), what="the watch")
    (old,) = world.proxy.watches(resource)
    old.reset()
    world.wait(
        lambda: [one for one in world.proxy.watches(resource) if one is not old],
        what="the watch after it",
    )
    (new,) = (one for one in world.proxy.watches(resource) if one is not old)
    return new


def play_rollout(world: Proxied) -> None:
    """A rollout whose canary is made twice, and then taken away: its end waits for the record."""
    world.serve("planner")
    watch = fresh_watch(world, "canarydeployments")
    watch.stall()  # or it would tell of the canary before the operator asks
    unheard = world.proxy.fault(Reset(after=True), verb="create", resource="canarydeployments")
    world.follow("planner")
    name = world.wait_rollout("planner")["metadata"]["name"]
    assert unheard.spent
    watch.gone()
    world.objects.delete("canarydeployments", name)
    world.wait_end("planner")
    finalizer = ("learnops.dev", "doers", "patch")
    world.wait(
        lambda: [asked.right for asked, _ in world.proxy.answered()].count(finalizer) >= 2,
        what="the finalizer to come and go",
    )


def play_repeated_event(world: Proxied) -> None:
    """The same refusal twice: the second raises the count of the first one's Event."""
    world.serve("strict")
    refusal = Answer(status=422, message="the fault of a test")
    refused = world.proxy.fault(refusal, verb="update", resource="doers/status", times=2)
    world.follow("strict")
    world.wait(lambda: refused.spent, what="two refusals")
    world.wait(
        lambda: any("series" in one for one in world.objects.events("strict")),
        what="the Event to be counted up",
    )


def play_gateway(stack: Stack, world: Proxied) -> None:
    """A doer behind a gateway, whose route has the wrong weights."""
    namespace = world.objects.namespace
    for name in ("judge-a", "judge-b"):
        make_service(stack, namespace, name)
    make_pod(stack, namespace, "judge-a-1", app="judge-a", digest="v1:0")
    wait_endpoints(stack, namespace, "judge-a", ready=1, all_=1)
    path = make_route(stack, namespace, [rule(50, 50)])
    wait_answered(stack, path)
    traffic = {
        "router": "GatewayAPI",
        "routeRef": {"name": "judge"},
        "backends": ["judge-a", "judge-b"],
    }
    world.objects.doer(
        "judge",
        policy="judge-v1",
        traffic=traffic,
        rollout={"analysis": {"source": "Prometheus"}},
    )
    world.objects.policy("judge-v1", doer="judge")
    world.wait(lambda: sorted(weights_of(stack, path)) == [0, 100], what="the right weights")

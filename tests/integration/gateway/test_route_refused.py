"""A route that cannot carry the shares, or a parent that does not accept it, says what to mend."""

import pytest

from learnops.adapters.gateway import GatewayRoute
from learnops.adapters.kube.connection import connect
from learnops.adapters.kube.rest import RestClient
from learnops.api.doer import Doer
from learnops.domain.plan import PatchRoute
from learnops.ports.traffic import RouteUnavailableError
from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.integration.gateway.routes import adapter, doer, route, rule
from tests.integration.gateway.world import make_route, refs, wait_answered

__all__ = ["adapter", "doer", "route"]  # fixtures


async def test_a_parent_that_refuses_says_why(
    stack: Stack, adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    stack.gateway.refuse("NotAllowedByListeners", "the listener takes no routes from here")
    wait_answered(stack, route, "False")
    reading = await adapter.read(doer=doer)
    assert not reading.accepted
    assert reading.message == (
        "parent public: NotAllowedByListeners the listener takes no routes from here"
    )


async def test_each_parent_must_accept(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    stack.gateway.pause()
    parents = [{"name": "public"}, {"name": "internal"}]
    stack.plane.api.merge(route, {"spec": {"parentRefs": parents}})
    current = stack.plane.api.get(route)
    only_public = [
        {
            **current["status"]["parents"][0],
            "conditions": [
                {**c, "observedGeneration": current["metadata"]["generation"]}
                for c in current["status"]["parents"][0]["conditions"]
            ],
        }
    ]
    stack.plane.api.merge(f"{route}/status", {"status": {"parents": only_public}})
    reading = await adapter.read(doer=doer)
    assert (reading.accepted, reading.message) == (False, "parent internal has not answered yet")


async def test_a_missing_service_shows_in_the_parents_answer(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer
) -> None:
    path = make_route(stack, namespace, [rule()])
    wait_answered(stack, path)
    reading = await adapter.read(doer=doer)
    assert not reading.accepted
    assert "BackendNotFound no Service judge-a" in reading.message


TWICE = {"backendRefs": refs(("judge-a", 1), ("judge-a", 1), ("judge-b", 1))}


ELSEWHERE = {
    "backendRefs": [
        {"name": "judge-a", "port": 80},
        {"name": "judge-b", "port": 80, "namespace": "x"},
    ]
}


BAD_RULES: dict[str, tuple[list[Json], str]] = {
    "one backend": ([{"backendRefs": refs(("judge-a", 1))}], "no rule .* add them"),
    "two rules": (
        [{"backendRefs": refs(("judge-a", 1))}, {"backendRefs": refs(("judge-b", 1))}],
        "no rule .* add them",
    ),
    "both in two rules": ([rule(), rule()], "2 rules .* leave them in one rule"),
    "one twice": ([TWICE], "names judge-a more than once"),
    "another namespace": ([ELSEWHERE], "no rule .* add them"),
}


@pytest.mark.parametrize("kind", BAD_RULES)
async def test_a_route_without_the_two_slots_says_what_to_mend(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer, kind: str
) -> None:
    rules, words = BAD_RULES[kind]
    make_route(stack, namespace, rules)
    with pytest.raises(RouteUnavailableError, match=words):
        await adapter.read(doer=doer)


async def test_a_route_that_is_not_there_is_named(
    adapter: GatewayRoute, doer: Doer, namespace: str
) -> None:
    with pytest.raises(RouteUnavailableError, match=f"no HTTPRoute {namespace}/judge; create it"):
        await adapter.read(doer=doer)
    action = PatchRoute(weights=(1, 1), resource_version="1")
    with pytest.raises(RouteUnavailableError, match="create it"):
        await adapter.patch(doer=doer, action=action)


async def test_without_the_right_it_says_which(stack: Stack, doer: Doer, route: str) -> None:
    api = await connect(kubeconfig=stack.plane.kubeconfig_for("alice"))
    try:
        adapter = GatewayRoute(rest=RestClient(api=api, timeout_seconds=10))
        with pytest.raises(RouteUnavailableError, match='"alice" cannot get resource "httproutes"'):
            await adapter.read(doer=doer)
    finally:
        await api.close()

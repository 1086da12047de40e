"""The Route port on the real API server, Gateway API CRDs and endpoint controller."""

from pathlib import Path
from typing import Any

import pytest

from learnops.adapters.gateway import GatewayRoute
from learnops.adapters.kube.connection import connect
from learnops.adapters.kube.rest import RestClient
from learnops.api.doer import Doer
from learnops.domain.plan import PatchRoute
from learnops.ports.kube import ConflictError
from learnops.ports.traffic import RouteUnavailableError
from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.integration.gateway.routes import adapter, doer, route, rule
from tests.integration.gateway.world import (
    make_pod,
    make_route,
    refs,
    wait_answered,
    wait_endpoints,
)

__all__ = ["adapter", "doer", "route"]  # fixtures


async def test_a_look_tells_the_weights_and_whether_the_parent_accepts(
    adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    reading = await adapter.read(doer=doer)
    assert [(one.backend, one.weight) for one in reading.slots] == [
        ("judge-a", 100),
        ("judge-b", 0),
    ]
    assert (reading.accepted, reading.message) == (True, "")
    assert [(one.ready, one.policy_digest) for one in reading.slots] == [(False, None)] * 2


async def test_a_weight_that_is_not_given_counts_1(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer
) -> None:
    make_route(stack, namespace, [rule(None, None)])
    assert [one.weight for one in (await adapter.read(doer=doer)).slots] == [1, 1]


async def test_slots_are_in_the_doers_order_and_other_rules_stay(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer
) -> None:
    other = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/docs"}}],
        "backendRefs": refs(("judge-a", 7), ("docs", 3)),
    }
    both = {"backendRefs": refs(("docs", 5), ("judge-b", 30), ("judge-a", 70))}
    path = make_route(stack, namespace, [other, both])
    wait_answered(stack, path)  # the parent's answer is a change of the route as well
    reading = await adapter.read(doer=doer)
    assert [one.weight for one in reading.slots] == [70, 30]
    action = PatchRoute(weights=(60, 40), resource_version=reading.resource_version)
    await adapter.patch(doer=doer, action=action)
    first, second = stack.plane.api.get(path)["spec"]["rules"]
    assert [ref["weight"] for ref in first["backendRefs"]] == [7, 3]
    assert [ref["weight"] for ref in second["backendRefs"]] == [5, 40, 60]


async def test_a_slot_is_ready_with_a_ready_endpoint_and_tells_its_pods_digest(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer, route: str, node: str
) -> None:
    make_pod(stack, namespace, "a-1", app="judge-a", digest="v1:one")
    make_pod(stack, namespace, "a-2", app="judge-a", digest="v1:one")
    make_pod(stack, namespace, "a-old", app="judge-a", digest="v1:old", ready=False)
    make_pod(stack, namespace, "b-1", app="judge-b", digest="v1:two", ready=False)
    wait_endpoints(stack, namespace, "judge-a", ready=2, all_=3)
    wait_endpoints(stack, namespace, "judge-b", ready=0, all_=1)
    first, second = (await adapter.read(doer=doer)).slots
    assert (first.ready, first.policy_digest) == (True, "v1:one")
    assert (second.ready, second.policy_digest) == (False, None)


@pytest.mark.parametrize("other", ["v1:two", None])
async def test_pods_that_differ_tell_no_digest(
    stack: Stack,
    namespace: str,
    adapter: GatewayRoute,
    doer: Doer,
    route: str,
    node: str,
    other: str | None,
) -> None:
    make_pod(stack, namespace, "a-1", app="judge-a", digest="v1:one")
    make_pod(stack, namespace, "a-2", app="judge-a", digest=other)
    wait_endpoints(stack, namespace, "judge-a", ready=2, all_=2)
    slot = (await adapter.read(doer=doer)).slots[0]
    assert (slot.ready, slot.policy_digest) == (True, None)


async def test_a_backend_whose_service_is_gone_is_not_ready(
    stack: Stack, namespace: str, adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    slice_ = {
        "metadata": {"name": "left", "labels": {"kubernetes.io/service-name": "judge-b"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.9"], "conditions": {"ready": True}}],
    }
    stack.plane.api.create(path, slice_)
    assert (await adapter.read(doer=doer)).slots[1].ready
    stack.plane.api.delete(f"/api/v1/namespaces/{namespace}/services/judge-b")
    assert not (await adapter.read(doer=doer)).slots[1].ready


async def test_a_patch_sets_both_weights_and_waits_for_the_parent_again(
    stack: Stack, adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    reading = await adapter.read(doer=doer)
    stack.gateway.pause()
    action = PatchRoute(weights=(90, 10), resource_version=reading.resource_version)
    await adapter.patch(doer=doer, action=action)
    after = await adapter.read(doer=doer)
    assert [one.weight for one in after.slots] == [90, 10]
    assert after.generation == reading.generation + 1
    assert not after.accepted
    assert f"generation {after.generation} is not answered yet" in after.message
    stack.gateway.resume()
    wait_answered(stack, route)
    assert (await adapter.read(doer=doer)).accepted


async def test_a_route_that_changed_since_is_a_conflict(
    stack: Stack, adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    reading = await adapter.read(doer=doer)
    stack.plane.api.merge(route, {"metadata": {"labels": {"touched": "yes"}}})
    action = PatchRoute(weights=(0, 100), resource_version=reading.resource_version)
    with pytest.raises(ConflictError):
        await adapter.patch(doer=doer, action=action)
    weights = [
        ref["weight"] for ref in stack.plane.api.get(route)["spec"]["rules"][0]["backendRefs"]
    ]
    assert weights == [100, 0]


async def test_a_change_between_look_and_patch_is_a_conflict_too(
    stack: Stack, operator_kubeconfig: Path, doer: Doer, route: str
) -> None:
    """The test of the resourceVersion is the API server's, not only ours."""
    api = await connect(kubeconfig=operator_kubeconfig)

    class Overtaken(RestClient):
        async def call(self, verb: str, path: str, **given: Any) -> Json:
            if verb == "PATCH":
                stack.plane.api.merge(route, {"metadata": {"labels": {"touched": "yes"}}})
            return await super().call(verb, path, **given)

    adapter = GatewayRoute(rest=Overtaken(api=api, timeout_seconds=10))
    try:
        reading = await adapter.read(doer=doer)
        action = PatchRoute(weights=(0, 100), resource_version=reading.resource_version)
        with pytest.raises(ConflictError):
            await adapter.patch(doer=doer, action=action)
    finally:
        await api.close()
    weights = [
        ref["weight"] for ref in stack.plane.api.get(route)["spec"]["rules"][0]["backendRefs"]
    ]
    assert weights == [100, 0]


async def test_a_weight_that_the_api_server_refuses_is_no_conflict(
    adapter: GatewayRoute, doer: Doer, route: str
) -> None:
    reading = await adapter.read(doer=doer)
    action = PatchRoute(weights=(0, 10_000_000), resource_version=reading.resource_version)
    with pytest.raises(RouteUnavailableError, match="weight"):
        await adapter.patch(doer=doer, action=action)

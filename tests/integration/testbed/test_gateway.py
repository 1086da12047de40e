"""The parent controller answers HTTPRoutes as a gateway implementation does."""

from collections.abc import Callable, Iterator

import pytest

from testbed.gateway import CONTROLLER
from testbed.kubeapi import Json
from testbed.stack import Stack
from testbed.waiting import wait_until


@pytest.fixture(autouse=True)
def ready_gateway(stack: Stack) -> Iterator[None]:
    """Each test leaves the shared controller accepting."""
    yield
    stack.gateway.accept()
    stack.gateway.resume()


@pytest.fixture
def route(stack: Stack, namespace: str) -> str:
    """The path of an HTTPRoute with two backends that exist."""
    for name in ("blue", "green"):
        stack.plane.api.create(
            f"/api/v1/namespaces/{namespace}/services",
            {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}},
        )
    routes = f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes"
    backends = [{"name": n, "port": 80, "weight": w} for n, w in (("blue", 100), ("green", 0))]
    spec = {"parentRefs": [{"name": "gateway"}], "rules": [{"backendRefs": backends}]}
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": spec,
    }
    stack.plane.api.create(routes, route)
    return f"{routes}/r"


def condition(route: Json, kind: str) -> Json | None:
    """The condition of our controller, if it has seen the current generation."""
    for parent in (route.get("status") or {}).get("parents", []):
        for found in parent["conditions"]:
            current = found["observedGeneration"] == route["metadata"]["generation"]
            if parent["controllerName"] == CONTROLLER and found["type"] == kind and current:
                return dict(found)
    return None


def wait_for(stack: Stack, path: str, kind: str, test: Callable[[Json], bool]) -> Json:
    def check() -> Json | None:
        found = condition(stack.plane.api.get(path), kind)
        return found if found is not None and test(found) else None

    return wait_until(check, what=f"condition {kind} of {path}", deadline_seconds=60)


def shift(stack: Stack, path: str) -> None:
    weights = [
        {"name": "blue", "port": 80, "weight": 90},
        {"name": "green", "port": 80, "weight": 10},
    ]
    stack.plane.api.merge(path, {"spec": {"rules": [{"backendRefs": weights}]}})


def test_a_route_is_accepted_and_each_change_of_it(stack: Stack, route: str) -> None:
    assert wait_for(stack, route, "Accepted", lambda c: True)["status"] == "True"
    shift(stack, route)
    assert wait_for(stack, route, "Accepted", lambda c: True)["observedGeneration"] == 2


def test_paused_it_leaves_a_new_generation_unanswered(stack: Stack, route: str) -> None:
    wait_for(stack, route, "Accepted", lambda c: True)
    stack.gateway.pause()
    shift(stack, route)
    # A route made after it and left alone too shows that the pause, not slowness, is the reason:
    # the answer comes at once after the pause ends.
    assert condition(stack.plane.api.get(route), "Accepted") is None
    stack.gateway.resume()
    assert condition(stack.plane.api.get(route), "Accepted") is not None


def test_told_to_refuse_it_refuses_also_what_it_accepted(stack: Stack, route: str) -> None:
    wait_for(stack, route, "Accepted", lambda c: c["status"] == "True")
    stack.gateway.refuse("NotAllowedByListeners", "no listener for this namespace")
    refused = wait_for(stack, route, "Accepted", lambda c: c["status"] == "False")
    assert refused["reason"] == "NotAllowedByListeners"
    stack.gateway.accept()
    wait_for(stack, route, "Accepted", lambda c: c["status"] == "True")


def test_a_missing_backend_is_named(stack: Stack, namespace: str, route: str) -> None:
    stack.plane.api.delete(f"/api/v1/namespaces/{namespace}/services/green")
    shift(stack, route)
    refused = wait_for(stack, route, "ResolvedRefs", lambda c: c["status"] == "False")
    assert refused["reason"] == "BackendNotFound"
    assert "green" in refused["message"]

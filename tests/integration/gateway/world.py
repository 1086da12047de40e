"""Routes, Services and pods as a cluster with a gateway has them."""

from typing import Any

from testbed.kubeapi import Json
from testbed.stack import Stack
from testbed.waiting import wait_until

NODE = "gateway-tests"
DIGEST = "learnops.dev/policy-digest"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"


def refs(*weights: tuple[str, int | None]) -> list[Json]:
    return [
        {"name": name, "port": 80, **({} if weight is None else {"weight": weight})}
        for name, weight in weights
    ]


def make_route(
    stack: Stack, namespace: str, rules: list[Json], *, name: str = "judge", **spec: Any
) -> str:
    """A route with one parent; its path."""
    path = ROUTES.format(namespace)
    stack.plane.api.create(
        path,
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name},
            "spec": {"parentRefs": [{"name": "public"}], "rules": rules, **spec},
        },
    )
    return f"{path}/{name}"


def make_service(stack: Stack, namespace: str, name: str) -> None:
    stack.plane.api.create(
        f"/api/v1/namespaces/{namespace}/services",
        {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}}},
    )


def make_pod(
    stack: Stack, namespace: str, name: str, *, app: str, digest: str | None, ready: bool = True
) -> None:
    """A pod as a kubelet would report it."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    annotations = {} if digest is None else {DIGEST: digest}
    container = {"name": "agent", "image": "agent"}
    stack.plane.api.create(
        pods,
        {
            "metadata": {"name": name, "labels": {"app": app}, "annotations": annotations},
            "spec": {"nodeName": NODE, "containers": [container]},
        },
    )
    address = f"192.0.2.{sum(name.encode()) % 250 + 1}"
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": str(ready)}],
    }
    stack.plane.api.merge(f"{pods}/{name}/status", {"status": status})


def wait_endpoints(stack: Stack, namespace: str, service: str, *, ready: int, all_: int) -> None:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"

    def check() -> bool:
        slices = stack.plane.api.get(
            path, query={"labelSelector": f"kubernetes.io/service-name={service}"}
        )["items"]
        endpoints = [one for part in slices for one in part.get("endpoints") or []]
        known_ready = [one for one in endpoints if one["conditions"]["ready"]]
        return (len(known_ready), len(endpoints)) == (ready, all_)

    wait_until(check, what=f"{ready} of {all_} endpoints of {service}", deadline_seconds=60)


def wait_answered(stack: Stack, path: str, status: str = "True") -> None:
    """Until the parent controller has answered the present generation."""

    def check() -> bool:
        route = stack.plane.api.get(path)
        parents = (route.get("status") or {}).get("parents") or []
        accepted = [c for p in parents for c in p["conditions"] if c["type"] == "Accepted"]
        generation = route["metadata"]["generation"]
        return bool(accepted) and all(
            c["observedGeneration"] == generation and c["status"] == status for c in accepted
        )

    wait_until(check, what=f"Accepted={status} of {path}", deadline_seconds=30)


def weights_of(stack: Stack, path: str) -> list[int]:
    return [ref["weight"] for ref in stack.plane.api.get(path)["spec"]["rules"][0]["backendRefs"]]

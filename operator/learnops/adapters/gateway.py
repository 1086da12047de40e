"""The `Route` port on a user's HTTPRoute: two backends of one rule are the slots of a doer."""

import asyncio
from typing import Any

from learnops.adapters.gateway_route import (
    Slots,
    acceptance,
    find_slots,
    is_ready,
    one_digest,
    ready_pods,
)
from learnops.adapters.kube.rest import RestClient
from learnops.api.doer import Doer
from learnops.domain.observed import RouteReading, Slot
from learnops.domain.plan import PatchRoute
from learnops.ports.kube import ConflictError, GoneError, KubeUnavailableError, RefusedError
from learnops.ports.traffic import RouteUnavailableError

Json = dict[str, Any]
_ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}"
_SERVICES = "/api/v1/namespaces/{namespace}/services/{name}"
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
_PODS = "/api/v1/namespaces/{namespace}/pods"
_SERVICE_LABEL = "kubernetes.io/service-name"
_JSON_PATCH = "application/json-patch+json"


class GatewayRoute:
    """Reads and sets the weights of two backendRefs. Each request has the client's timeout."""

    def __init__(self, *, rest: RestClient) -> None:
        self._rest = rest

    async def read(self, *, doer: Doer) -> RouteReading:
        """The route's weights, what stands behind them, and whether its parents accepted it.

        Raises:
            RouteUnavailableError: saying what to mend, or that the API server does not answer.
        """
        namespace = doer.metadata.namespace
        route = await self._route(doer)
        slots = find_slots(route, backends=_backends(doer))
        first, second = await asyncio.gather(
            self._slot(namespace, slots.backends[0], weight=slots.weights[0]),
            self._slot(namespace, slots.backends[1], weight=slots.weights[1]),
        )
        accepted, message = acceptance(route)
        return RouteReading(
            generation=route["metadata"]["generation"],
            resource_version=route["metadata"]["resourceVersion"],
            slots=(first, second),
            accepted=accepted,
            message=message,
        )

    async def patch(self, *, doer: Doer, action: PatchRoute) -> None:
        """Set both weights, if the route is still what the plan was made from.

        Raises:
            ConflictError: somebody changed the route since; observe again.
            RouteUnavailableError: as `read`, or the API server refuses the patch.
        """
        route = await self._route(doer)
        if route["metadata"]["resourceVersion"] != action.resource_version:
            raise ConflictError(f"{_name(doer)} changed since it was read")
        slots = find_slots(route, backends=_backends(doer))
        try:
            await self._rest.call(
                "PATCH",
                _path(doer),
                body=_weights_patch(slots, action=action),
                content_type=_JSON_PATCH,
            )
        except KubeUnavailableError as error:
            raise RouteUnavailableError(str(error)) from error
        except GoneError as error:
            raise RouteUnavailableError(f"{_name(doer)} was deleted") from error
        except RefusedError as error:
            await self._explain(doer, action=action, error=error)

    async def _explain(self, doer: Doer, *, action: PatchRoute, error: RefusedError) -> None:
        """A failed `test` and a value that is not allowed are both 422: the route tells which."""
        if not error.forbidden:
            route = await self._route(doer)
            if route["metadata"]["resourceVersion"] != action.resource_version:
                raise ConflictError(f"{_name(doer)} changed since it was read") from error
        raise RouteUnavailableError(str(error)) from error

    async def _route(self, doer: Doer) -> Json:
        try:
            return await self._rest.call("GET", _path(doer))
        except GoneError as error:
            raise RouteUnavailableError(
                f"there is no {_name(doer)}; create it, or mend spec.traffic.routeRef"
            ) from error
        except (KubeUnavailableError, RefusedError, ConflictError) as error:
            raise RouteUnavailableError(str(error)) from error

    async def _slot(self, namespace: str, backend: str, *, weight: int) -> Slot:
        service, slices = await asyncio.gather(
            self._find(_SERVICES.format(namespace=namespace, name=backend)),
            self._list(
                _SLICES.format(namespace=namespace), label_selector=f"{_SERVICE_LABEL}={backend}"
            ),
        )
        pods = ready_pods(slices)
        return Slot(
            backend=backend,
            weight=weight,
            ready=service is not None and is_ready(slices),
            policy_digest=await self._digest(namespace, service=service, pods=pods),
        )

    async def _digest(
        self, namespace: str, *, service: Json | None, pods: frozenset[str]
    ) -> str | None:
        """What all ready pods of a Service report; None if they differ or one says nothing."""
        selector = (service or {}).get("spec", {}).get("selector")
        if not selector or not pods:
            return None
        found = await self._list(
            _PODS.format(namespace=namespace),
            label_selector=",".join(f"{key}={value}" for key, value in sorted(selector.items())),
        )
        return one_digest(found, pods=pods)

    async def _find(self, path: str) -> Json | None:
        try:
            return await self._rest.call("GET", path)
        except GoneError:
            return None
        except (KubeUnavailableError, RefusedError, ConflictError) as error:
            raise RouteUnavailableError(str(error)) from error

    async def _list(self, path: str, *, label_selector: str) -> list[Json]:
        try:
            answer = await self._rest.call("GET", path, query={"labelSelector": label_selector})
        except (KubeUnavailableError, RefusedError, ConflictError, GoneError) as error:
            raise RouteUnavailableError(str(error)) from error
        items: list[Json] = answer["items"]
        return items


def _weights_patch(slots: Slots, *, action: PatchRoute) -> list[Json]:
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": action.resource_version}
    sets = [
        {"op": "add", "path": f"/spec/rules/{slots.rule}/backendRefs/{place}/weight", "value": to}
        for place, to in zip(slots.places, action.weights, strict=True)
    ]
    return [test, *sets]


def _backends(doer: Doer) -> tuple[str, str]:
    backends = doer.spec.traffic.backends
    if backends is None:
        raise RouteUnavailableError("spec.traffic.backends is missing; name the two Services")
    return backends[0], backends[1]


def _path(doer: Doer) -> str:
    reference = doer.spec.traffic.route_ref
    if reference is None:
        raise RouteUnavailableError("spec.traffic.routeRef is missing; name the HTTPRoute")
    return _ROUTES.format(namespace=doer.metadata.namespace, name=reference.name)


def _name(doer: Doer) -> str:
    reference = doer.spec.traffic.route_ref
    return f"HTTPRoute {doer.metadata.namespace}/{reference.name if reference else '?'}"

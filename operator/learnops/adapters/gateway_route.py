"""What an HTTPRoute and the objects behind it say: pure functions on what the API server holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnops.ports.traffic import RouteUnavailableError

DIGEST_ANNOTATION = "learnops.dev/policy-digest"
_GATEWAY_GROUP = "gateway.networking.k8s.io"
_DEFAULT_WEIGHT = 1  # Gateway API: a backendRef without a weight

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Where the two backends stand: the rule's index, and both places among its backendRefs."""

    rule: int
    backends: tuple[str, str]
    places: tuple[int, int]
    weights: tuple[int, int]


def find_slots(route: Json, *, backends: tuple[str, str]) -> Slots:
    """The one rule that holds both backends.

    Raises:
        RouteUnavailableError: no rule or more than one holds both, or one holds one of them twice.
    """
    name, namespace = route["metadata"]["name"], route["metadata"]["namespace"]
    rules = route["spec"].get("rules") or []
    places = {
        index: tuple(_places(rule, backend, namespace=namespace) for backend in backends)
        for index, rule in enumerate(rules)
    }
    holding = [index for index, (first, second) in places.items() if first and second]
    rule = _the_one(holding, name=name, backends=backends)
    first, second = places[rule]
    for backend, found in zip(backends, (first, second), strict=True):
        if len(found) > 1:
            raise RouteUnavailableError(
                f"a rule of HTTPRoute {name} names {backend} more than once; leave one backendRef "
                "of it"
            )
    refs = rules[rule]["backendRefs"]
    return Slots(
        rule=rule,
        backends=backends,
        places=(first[0], second[0]),
        weights=(_weight(refs[first[0]]), _weight(refs[second[0]])),
    )


def _the_one(holding: Sequence[int], *, name: str, backends: tuple[str, str]) -> int:
    """The only rule among those that hold both backends. Raises RouteUnavailableError."""
    both = " and ".join(backends)
    if not holding:
        raise RouteUnavailableError(
            f"no rule of HTTPRoute {name} has both {both}; add them to the backendRefs of one rule"
        )
    if len(holding) > 1:
        raise RouteUnavailableError(
            f"{len(holding)} rules of HTTPRoute {name} have both {both}; leave them in one rule"
        )
    return holding[0]


def acceptance(route: Json) -> tuple[bool, str]:
    """Whether every parent accepted the route's present generation, else what stands against it."""
    parents = route["spec"].get("parentRefs") or []
    if not parents:
        return False, "the route names no parent in spec.parentRefs"
    namespace = route["metadata"]["namespace"]
    statuses = (route.get("status") or {}).get("parents") or []
    for parent in parents:
        wanted = _parent_key(parent, namespace)
        told = [s for s in statuses if _parent_key(s["parentRef"], namespace) == wanted]
        if not told:
            return False, f"parent {parent['name']} has not answered yet"
        for status in told:
            if objection := _objection(status, generation=route["metadata"]["generation"]):
                return False, f"parent {parent['name']}: {objection}"
    return True, ""


def is_ready(slices: Iterable[Json]) -> bool:
    """Whether an endpoint is known to be ready; "unknown" is not."""
    return any(_ready(endpoint) for one in slices for endpoint in one.get("endpoints") or [])


def ready_pods(slices: Iterable[Json]) -> frozenset[str]:
    """Names of the pods behind the ready endpoints."""
    endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
    targets = [endpoint.get("targetRef") or {} for endpoint in endpoints if _ready(endpoint)]
    return frozenset(target["name"] for target in targets if target.get("kind") == "Pod")


def one_digest(found: Iterable[Json], *, pods: frozenset[str]) -> str | None:
    """The policy digest that all `pods` report; None if they differ or one of them has none."""
    by_name = {pod["metadata"]["name"]: pod["metadata"] for pod in found}
    digests = {
        (by_name.get(name, {}).get("annotations") or {}).get(DIGEST_ANNOTATION) for name in pods
    }
    return digests.pop() if len(digests) == 1 else None


def _places(rule: Json, backend: str, *, namespace: str) -> tuple[int, ...]:
    return tuple(
        place
        for place, ref in enumerate(rule.get("backendRefs") or [])
        if ref["name"] == backend
        and ref.get("kind", "Service") == "Service"
        and not ref.get("group")
        and ref.get("namespace", namespace) == namespace
    )


def _weight(ref: Json) -> int:
    weight = ref.get("weight")
    return _DEFAULT_WEIGHT if weight is None else int(weight)


def _parent_key(ref: Json, namespace: str) -> tuple[Any, ...]:
    return (
        ref.get("group", _GATEWAY_GROUP),
        ref.get("kind", "Gateway"),
        ref.get("namespace", namespace),
        ref["name"],
        ref.get("sectionName"),
        ref.get("port"),
    )


def _objection(status: Json, *, generation: int) -> str:
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    accepted = conditions.get("Accepted")
    if accepted is None or accepted.get("observedGeneration", 0) < generation:
        return f"generation {generation} is not answered yet"
    if accepted["status"] != "True":
        return f"{accepted.get('reason', 'NotAccepted')} {accepted.get('message', '')}".strip()
    resolved = conditions.get("ResolvedRefs")
    if resolved is not None and resolved["status"] == "False":
        return f"{resolved.get('reason', '')} {resolved.get('message', '')}".strip()
    return ""


def _ready(endpoint: Json) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is True

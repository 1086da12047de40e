"""A gateway's two backends as slots: one carries the active policy, the other the candidate."""

from learnops.api.doer import Doer, Router
from learnops.api.policy import Policy
from learnops.api.served import TrafficStatus
from learnops.domain.observed import RouteReading, Slot, Snapshot
from learnops.domain.planner import content
from learnops.domain.planner.traffic import candidate_percent
from learnops.domain.unavailable import Unavailable


def by_gateway(doer: Doer) -> bool:
    """Whether a gateway splits this doer's traffic."""
    return doer.spec.traffic.router is Router.GATEWAY_API


def other_backend(doer: Doer, traffic: TrafficStatus) -> str | None:
    """The slot that does not carry the active policy: the candidate's."""
    backends = doer.spec.traffic.backends
    if not by_gateway(doer) or backends is None or traffic.active_backend not in backends:
        return None
    return backends[1] if traffic.active_backend == backends[0] else backends[0]


def weights(doer: Doer, traffic: TrafficStatus) -> tuple[int, int] | None:
    """The weights of the two slots that the shares ask for; None while the slot is unknown."""
    backends, candidate = doer.spec.traffic.backends, other_backend(doer, traffic)
    if backends is None or candidate is None:
        return None
    share = candidate_percent(traffic)
    return (share, 100 - share) if candidate == backends[0] else (100 - share, share)


def choose_active(snapshot: Snapshot, route: RouteReading, active: str) -> str:
    """The slot that carries the active policy: by digest, else by the greater weight."""
    policy = snapshot.policies.get(active)
    wanted = content.digest(policy.spec) if policy else None
    carrying = [slot for slot in route.slots if wanted and slot.policy_digest == wanted]
    if len(carrying) == 1:
        return carrying[0].backend
    return max(route.slots, key=lambda slot: slot.weight).backend


def slot_of(route: RouteReading, backend: str | None) -> Slot | None:
    """The slot of a backend."""
    return next((slot for slot in route.slots if slot.backend == backend), None)


def trouble(snapshot: Snapshot, traffic: TrafficStatus, candidate: str) -> tuple[str, str] | None:
    """Why a gateway may not give `candidate` more traffic: reason and a sentence; None if it may.

    Slots must be ready and the candidate's pods must report its digest; the route's parents must
    have accepted what it says now.
    """
    doer, route = snapshot.doer, snapshot.route
    if doer is None or not by_gateway(doer):
        return None
    if snapshot.route_owner is not None:
        return "Conflict", f"the route is held by doer {snapshot.route_owner}"
    if route is None or isinstance(route, Unavailable):
        message = "not observed yet" if route is None else route.message
        return "RouteUnavailable", f"HTTPRoute: {message}"
    not_ready = _not_ready(route, other_backend(doer, traffic), snapshot.policies.get(candidate))
    if not_ready is not None:
        return "BackendNotReady", not_ready
    if not route.accepted:
        return "RouteNotAccepted", f"HTTPRoute: {route.message or 'no parent accepted it yet'}"
    return None


def _not_ready(route: RouteReading, backend: str | None, policy: Policy | None) -> str | None:
    """What the slots lack for a candidate behind `backend`; None: nothing."""
    for slot in route.slots:
        if not slot.ready:
            return f"backend {slot.backend} has no ready endpoint"
    carrier = slot_of(route, backend)
    if carrier is None or policy is None:
        return "the backend of the active policy is not known yet"
    if carrier.policy_digest != content.digest(policy.spec):
        name = policy.metadata.name
        return f"the pods behind {carrier.backend} do not report the digest of {name}"
    return None

"""The user's HTTPRoute follows the doer's traffic: weights, drift, the active policy's slot."""

from datetime import timedelta

from learnops.domain.observed import RouteReading
from learnops.domain.plan import PatchRoute
from learnops.domain.planner import slots
from learnops.domain.planner.conditions import ROUTE_DRIFTED, Wanted, find, merged
from learnops.domain.planner.draft import Draft
from learnops.domain.unavailable import Unavailable

# At most one correction in this time: two writers in a fight alternate less than four times a
# minute, and the condition says that somebody else holds on to the weights.
_BETWEEN_CORRECTIONS = timedelta(seconds=20)
_CONTESTED = "Contested"
_NEVER_EDITED, _CORRECTED = "InSync", "Corrected"


def settle_route(draft: Draft) -> None:
    """Bring the weights to what the doer serves. What the operator moved is patched at once."""
    traffic = draft.status.traffic
    if traffic is None or not slots.by_gateway(draft.doer):
        return
    route = draft.snap.route
    if draft.snap.route_owner is not None:
        message = f"the HTTPRoute is held by doer {draft.snap.route_owner}: use another route"
        draft.stalled = draft.stalled or ("Conflict", message)
        return
    if route is None or isinstance(route, Unavailable):
        message = "not observed yet" if route is None else route.message
        draft.stalled = draft.stalled or ("RouteUnavailable", f"HTTPRoute: {message}")
        return
    if traffic.active_backend not in {slot.backend for slot in route.slots}:
        chosen = slots.choose_active(draft.snap, route, traffic.active)
        draft.set_doer(traffic=traffic.model_copy(update={"active_backend": chosen}))
        draft.fire("choose-slot", f"{chosen} carries {traffic.active}")
    _sync(draft, route)


def _sync(draft: Draft, route: RouteReading) -> None:
    traffic = draft.status.traffic
    assert traffic is not None
    wanted = slots.weights(draft.doer, traffic)
    if wanted is None:
        return
    now_set = tuple(slot.weight for slot in route.slots)
    if wanted == now_set:
        routed = traffic.model_copy(update={"routed_revision": traffic.revision})
        draft.set_doer(traffic=routed)
        if traffic.routed_revision != traffic.revision:
            draft.look_again()
        before = find(draft.status.conditions, ROUTE_DRIFTED)
        edited = before is not None and before.reason != _NEVER_EDITED
        reason = _CORRECTED if edited else _NEVER_EDITED
        _condition(draft, drifted=False, reason=reason, message="")
        return
    patch = PatchRoute(weights=wanted, resource_version=route.resource_version)
    if traffic.routed_revision != traffic.revision:
        draft.route.append(patch)  # ours, in this plan or in one that was cut short
        draft.look_again()
        return
    _correct(draft, patch, f"weights are {now_set[0]}/{now_set[1]}, not {wanted[0]}/{wanted[1]}")


def _correct(draft: Draft, patch: PatchRoute, found: str) -> None:
    """Somebody else's edit: told once, put right, and without a fight."""
    before = find(draft.status.conditions, ROUTE_DRIFTED)
    edited_before = before is not None and before.reason != _NEVER_EDITED
    since = before.last_transition_time if before and edited_before else None
    waits = since is not None and draft.now < since + _BETWEEN_CORRECTIONS
    if waits and since is not None:
        draft.wake(since + _BETWEEN_CORRECTIONS)
        message = f"{found}, and were corrected moments ago: find who else writes this HTTPRoute"
        _condition(draft, drifted=True, reason=_CONTESTED, message=message)
    else:
        # First of all: the parent's answer to the edit may make this patch fail, and a condition
        # that told of a correction which was not made would put off the next by a while.
        draft.before.insert(0, patch)
        draft.look_again()
        draft.fire("correct-route", found)
        _condition(draft, drifted=True, reason="WeightsEdited", message=found)
    if before is None or before.status != "True":
        draft.event(draft.doer, "RouteDrifted", found, warning=True)


def _condition(draft: Draft, *, drifted: bool, reason: str, message: str) -> None:
    wanted = Wanted(type=ROUTE_DRIFTED, true=drifted, reason=reason, message=message)
    draft.set_doer(
        conditions=merged(
            draft.status.conditions,
            (wanted,),
            now=draft.now,
            generation=draft.doer.metadata.generation,
        )
    )

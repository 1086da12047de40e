"""The log of a story, one line per thing that happened, to be read like prose."""

from collections.abc import Iterable

from learnops.api.assignment import ServedUnit, Unit
from learnops.api.canary import CanaryDeployment, CanaryStatus
from learnops.api.doer import Doer, DoerStatus
from learnops.api.policy import PolicyStatus
from learnops.domain.observed import Promotion
from learnops.domain.plan import (
    Action,
    CloseRollout,
    CreateCanary,
    EmitEvent,
    OpenGeneration,
    OpenRollout,
    PatchRoute,
    RecordPromotions,
    SetFinalizer,
    WriteInvalidStatus,
    WriteStatus,
)
from learnops.domain.planner.conditions import find
from tests.simulation.store import Obj


def tell(action: Action, before: Obj | None) -> str | None:
    """A sentence for what an action does; None where nothing worth telling changed."""
    match action:
        case RecordPromotions(rows=rows):
            return "record " + ", ".join(_move(row) for row in rows)
        case OpenRollout() | OpenGeneration() | CloseRollout():
            return _rollout(action)
        case PatchRoute(weights=weights):
            return f"route weights {weights[0]}/{weights[1]}"
        case CreateCanary(manifest=manifest):
            return f"create canary {manifest['metadata']['name']}"
        case EmitEvent() as it:
            return f"event {it.type} {it.reason} on {it.kind} {it.name}: {it.note}"
        case SetFinalizer(present=present):
            return f"finalizer {'on' if present else 'off'} the doer"
        case WriteInvalidStatus() as it:
            return f"{it.kind} {it.name} is reported invalid: {it.message}"
        case WriteStatus() as it:
            return _status(it, before)


def _rollout(action: OpenRollout | OpenGeneration | CloseRollout) -> str:
    match action:
        case OpenRollout() as it:
            attempts = ", ".join(f"attempt {tried.attempt}" for tried in it.candidates)
            opened = f"open rollout {it.rollout} ({attempts}) at {it.percent} %"
            return opened if it.unit is Unit.RUN else opened + _unit(it)
        case OpenGeneration() as it:
            return f"open generation {it.number} of {it.rollout}"
        case CloseRollout(rollout=rollout, outcome=outcome):
            return f"close rollout {rollout}: {outcome}"


def _move(row: Promotion) -> str:
    return f"{row.policy} {row.from_stage or 'new'} → {row.to_stage}"


def _status(write: WriteStatus, before: Obj | None) -> str | None:
    parts: list[str] = []
    status, old = write.status, before.status if before else None
    match status:
        case DoerStatus():
            parts = _doer(status, old if isinstance(old, DoerStatus) else DoerStatus())
        case PolicyStatus():
            old_stage = old.stage if isinstance(old, PolicyStatus) else None
            if status.stage is not old_stage:
                parts = [f"{old_stage or 'new'} → {status.stage}"]
        case CanaryStatus():
            parts = _canary(status, old if isinstance(old, CanaryStatus) else CanaryStatus())
    parts += _conditions(status, old)
    return f"{write.kind} {write.name}: " + "; ".join(parts) if parts else None


def _unit(it: ServedUnit | OpenRollout | None) -> str:
    if it is None:
        return ""
    epoch = "" if it.epoch_seconds is None else f" of {it.epoch_seconds} s"
    return f" drawn per {it.unit.value}{epoch}"


def _doer(new: DoerStatus, old: DoerStatus) -> list[str]:
    parts = []
    if new.traffic is not None and new.traffic != old.traffic:
        shares = ", ".join(f"{it.policy} {it.percent} %" for it in new.traffic.shares)
        parts.append(f"traffic r{new.traffic.revision} {shares}{_unit(new.traffic.assignment)}")
        if new.traffic.shadow:
            parts.append(f"{new.traffic.shadow} in shadow")
        if new.traffic.active_backend:
            parts.append(f"active on {new.traffic.active_backend}")
    if new.handled_policy_ref != old.handled_policy_ref:
        parts.append(f"policyRef {new.handled_policy_ref} handled")
    if new.crl is not None and new.crl != old.crl:
        weighed = new.crl.weights.to_wire() if new.crl.weights else {}
        parts.append(f"weights {_listed(weighed)}; not reported: {_listed(new.crl.missing)}")
    if new.pending_audit != old.pending_audit:
        parts.append(f"{len(new.pending_audit)} move(s) still to be recorded")
    return parts


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _canary(new: CanaryStatus, old: CanaryStatus) -> list[str]:
    parts = []
    if new.stage is not old.stage:
        parts.append(f"{old.stage or 'new'} → {new.stage}")
    if new.waiting_for != old.waiting_for and new.waiting_for:
        parts.append(f"waiting for {new.waiting_for}")
    if new.recommendation is not old.recommendation and new.recommendation:
        parts.append(f"recommendation {new.recommendation}")
    if new.generation != old.generation:
        attempts = ", ".join(f"attempt {it.attempt}" for it in new.candidates)
        parts.append(f"generation {new.generation}, {attempts}")
    return parts


def _conditions(new: object, old: object) -> list[str]:
    parts = []
    after, before = getattr(new, "conditions", ()), getattr(old, "conditions", ())
    for it in after:
        was = find(before, it.type)
        told = (was.status, was.reason) if was else ("False", "")
        if (it.status, it.reason) == told or (was is None and it.status == "False"):
            continue
        if it.status == "True" or (was is not None and was.status != it.status):
            parts.append(f"{it.type}={it.status} ({it.reason})")
    return parts


def sum_up(objects: list[Obj]) -> list[str]:
    """Where everything stands at the end of a story."""
    lines = []
    for obj in sorted(objects, key=lambda it: (it.kind != "Doer", it.kind, it.metadata.name)):
        match obj:
            case Doer(status=status):
                traffic = status.traffic
                shares = traffic.shares if traffic else ()
                told = ", ".join(f"{it.policy} {it.percent} %" for it in shares) or "no traffic"
                lines.append(f"doer {obj.metadata.name}: {told}; {_true(status.conditions)}")
            case CanaryDeployment(status=status):
                lines.append(f"canary {obj.metadata.name}: {status.stage}, {_tried(status)}")
            case _:
                lines.append(f"policy {obj.metadata.name}: {obj.status.stage}")
    return lines


def _tried(status: CanaryStatus) -> str:
    candidates = status.candidates
    if len(candidates) > 1:
        return ", ".join(f"{it.name} {it.verdict} (attempt {it.attempt})" for it in candidates)
    return f"attempt {candidates[0].attempt if candidates else '-'}"


def _true(conditions: object) -> str:
    assert isinstance(conditions, tuple)
    return ", ".join(f"{it.type} ({it.reason})" for it in conditions if it.status == "True")

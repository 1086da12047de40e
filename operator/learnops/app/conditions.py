"""Conditions that act itself reports: an object that cannot be read, a write that was refused."""

from datetime import datetime
from typing import Any

from learnops.app.refusal import RefusalReason

Status = dict[str, Any]
_MESSAGE_CHARACTERS = 1024


def invalid(status: Status, *, message: str, generation: int, now: datetime) -> Status:
    """The status of an object whose spec cannot be read: what it held, and why it stands still."""
    reason = RefusalReason.INVALID_SPEC.value
    changed: Status = {**status, "observedGeneration": generation}
    for kind, value in (("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True")):
        changed = with_condition(
            changed, kind=kind, value=value, reason=reason, message=message, now=now
        )
    return changed


def with_condition(
    status: Status, *, kind: str, value: str, reason: str, message: str, now: datetime
) -> Status:
    """The status with one condition set; its transition time changes only with its value."""
    found = status.get("conditions", [])
    old: Status = next((one for one in found if one["type"] == kind), {})
    same = old.get("status") == value
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message[:_MESSAGE_CHARACTERS],
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": old["lastTransitionTime"] if same else stamp,
    }
    others = [one for one in found if one["type"] != kind]
    return {**status, "conditions": sorted([*others, condition], key=lambda one: str(one["type"]))}


def differs(left: Status, right: Status) -> bool:
    """Whether two statuses say different things; who wrote them and when does not count."""
    return _essence(left) != _essence(right)


def _essence(status: Status) -> Status:
    conditions = {
        one["type"]: {key: one[key] for key in one if key != "lastTransitionTime"}
        for one in status.get("conditions", [])
    }
    rest = {key: value for key, value in status.items() if key not in ("fence", "conditions")}
    return {**rest, "conditions": conditions}

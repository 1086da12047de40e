"""Conditions as kstatus reads them: set at the first visit, times kept while the status is."""

from dataclasses import dataclass
from datetime import datetime

from learnops.api.common import Condition, ConditionStatus
from learnops.domain.planner.draft import clip

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
DRIFTING = "Drifting"
TERMS_MISSING = "TermsMissing"
EVIDENCE, SPEC_BEHIND, ROUTE_DRIFTED = "EvidenceAvailable", "SpecBehind", "RouteDrifted"
LOW_TRAFFIC = "LowTraffic"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A condition as a rule wants it, before its time is known. `known` False: it is Unknown."""

    type: str
    true: bool
    reason: str
    message: str = ""
    known: bool = True

    @property
    def status(self) -> ConditionStatus:
        """The condition's value."""
        if not self.known:
            return ConditionStatus.UNKNOWN
        return ConditionStatus.TRUE if self.true else ConditionStatus.FALSE


def find(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """The condition of a type."""
    return next((it for it in conditions if it.type == type_), None)


def reason_of(conditions: tuple[Condition, ...], type_: str) -> str:
    """The reason of a condition; empty where there is none yet."""
    found = find(conditions, type_)
    return "" if found is None else found.reason


def is_true(conditions: tuple[Condition, ...], type_: str) -> bool:
    """Whether a condition is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status is ConditionStatus.TRUE


def merged(
    old: tuple[Condition, ...], wanted: tuple[Wanted, ...], *, now: datetime, generation: int
) -> tuple[Condition, ...]:
    """`old` with the wanted ones in place; others stay as they are."""
    new = {it.type: it for it in old}
    for want in wanted:
        status = want.status
        before = new.get(want.type)
        kept = before is not None and before.status is status
        new[want.type] = Condition(
            type=want.type,
            status=status,
            reason=want.reason,
            message=clip(want.message, 1024),
            observed_generation=generation,
            last_transition_time=before.last_transition_time if before and kept else now,
        )
    return tuple(new[type_] for type_ in sorted(new))


def settled(reason: str, message: str = "") -> tuple[Wanted, ...]:
    """Ready; nothing under way; nobody needs to act."""
    return (
        Wanted(type=READY, true=True, reason=reason, message=message),
        Wanted(type=RECONCILING, true=False, reason=reason),
        Wanted(type=STALLED, true=False, reason=reason),
    )


def under_way(reason: str, message: str = "") -> tuple[Wanted, ...]:
    """Not ready yet; the operator is at it."""
    return (
        Wanted(type=READY, true=False, reason=reason, message=message),
        Wanted(type=RECONCILING, true=True, reason=reason, message=message),
        Wanted(type=STALLED, true=False, reason=reason),
    )


def stalled(reason: str, message: str) -> tuple[Wanted, ...]:
    """Not ready, and a person must act; the message says how."""
    return (
        Wanted(type=READY, true=False, reason=reason, message=message),
        Wanted(type=RECONCILING, true=False, reason=reason),
        Wanted(type=STALLED, true=True, reason=reason, message=message),
    )

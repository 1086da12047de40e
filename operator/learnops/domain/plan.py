"""What `decide` may ask for: ordered, idempotent actions. Plans, not effects, are tested.

The actions of a plan are done in order, and the first that fails ends it: the next pass observes
what came of it and plans the rest. `EmitEvent` alone never fails.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from learnops.api.assignment import Unit
from learnops.api.canary import CanaryStatus
from learnops.api.common import GROUP
from learnops.api.doer import DoerStatus
from learnops.api.policy import PolicyStatus
from learnops.domain.observed import Promotion

FINALIZER = f"{GROUP}/operator"


@dataclass(frozen=True, kw_only=True)
class RecordPromotions:
    """Write stage moves to `policy_promotions`; idempotent by transition id.

    On the way up it stands before the status that says so: if it fails, the rest of the plan waits.
    """

    rows: tuple[Promotion, ...]


@dataclass(frozen=True, kw_only=True)
class OpenRollout:
    """Write the row of a rollout's attempt, before its first traffic; idempotent by id."""

    rollout: str  # the salt
    canary: str
    canary_uid: str
    control: str
    candidates: tuple["Tried", ...]
    percent: int  # of each candidate
    maturation_seconds: int
    crl: dict[str, Any]  # Doer.spec.crl on the wire, frozen for this attempt
    unit: Unit = Unit.RUN
    epoch_seconds: int | None = None
    safety_thresholds: dict[str, Any] = field(default_factory=dict)  # what would take it down


@dataclass(frozen=True, kw_only=True)
class OpenGeneration:
    """Let a rollout be scored by another CRL, and judged anew, from its next registration on.

    Idempotent by rollout and number; the run log says where it begins and which attempt it is.
    """

    rollout: str  # the salt
    number: int
    crl: dict[str, Any]  # Doer.spec.crl on the wire
    candidates: tuple[str, ...]  # who is judged in it: those that were not dropped


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate of a rollout; every try of an identity counts, whatever it is tried beside."""

    name: str
    identity: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class CloseRollout:
    """Mark a rollout's row as ended; idempotent.

    On the way down it stands after every status, so that nothing waits for it, and is asked for
    again until the move down is on record.
    """

    rollout: str
    outcome: str


@dataclass(frozen=True, kw_only=True)
class PatchRoute:
    """Set the weights of the two slots, testing the route's resourceVersion."""

    weights: tuple[int, int]
    resource_version: str


@dataclass(frozen=True, kw_only=True)
class CreateCanary:
    """Create the CanaryDeployment of a rollout the operator starts; its name is deterministic."""

    manifest: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WriteStatus:
    """Replace an object's status, testing its resourceVersion."""

    kind: str
    name: str
    uid: str
    resource_version: str
    status: DoerStatus | PolicyStatus | CanaryStatus


@dataclass(frozen=True, kw_only=True)
class WriteInvalidStatus:
    """Report an object that cannot be read: its conditions alone."""

    kind: str
    name: str
    uid: str
    resource_version: str
    generation: int
    message: str


@dataclass(frozen=True, kw_only=True)
class SetFinalizer:
    """Add or remove the operator's finalizer."""

    kind: str
    name: str
    uid: str
    resource_version: str
    present: bool


@dataclass(frozen=True, kw_only=True)
class EmitEvent:
    """An `events.k8s.io/v1` Event, on transitions only."""

    kind: str
    name: str
    uid: str
    type: str  # Normal | Warning
    reason: str
    note: str


Action: TypeAlias = (
    RecordPromotions
    | OpenRollout
    | OpenGeneration
    | CloseRollout
    | PatchRoute
    | CreateCanary
    | WriteStatus
    | WriteInvalidStatus
    | SetFinalizer
    | EmitEvent
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Ordered actions, the rules that asked for them (for logs and golden files), the next look.

    Each rule is "name: reason". `requeue_after` zero: look again as soon as this plan is done.
    `figures_only`: all that the plan would write are newer figures of the evidence, which decide
    nothing and may wait for the next tick.
    """

    actions: tuple[Action, ...] = ()
    rules: tuple[str, ...] = field(default=())
    requeue_after: timedelta | None = None
    figures_only: bool = False

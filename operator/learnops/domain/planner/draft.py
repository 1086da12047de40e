"""The working copy of one pass: rules change statuses here; `actions` turns the rest into a plan.

A rule never builds the list of writes itself, so that their order is decided in one place:
what goes up is recorded first, the doer's traffic is written before the statuses that tell of it,
and on the way down nothing waits for the run log.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from learnops.api.canary import CanaryDeployment, CanaryStage, CanaryStatus
from learnops.api.common import StatusModel
from learnops.api.crl import CRL
from learnops.api.doer import Doer, DoerStatus
from learnops.api.policy import Policy, PolicyStatus, Stage
from learnops.domain.observed import Snapshot
from learnops.domain.plan import Action, EmitEvent, PatchRoute, Plan, WriteStatus

S = TypeVar("S", DoerStatus, PolicyStatus, CanaryStatus)
LOOK_AGAIN = timedelta(seconds=5)  # where nothing tells that a source or a backend is back
LIVE_STAGES = (None, CanaryStage.PENDING, CanaryStage.SHADOW, CanaryStage.CANARY)


def clip(text: str, limit: int) -> str:
    """`text` within a status field's bound."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Draft:
    """Statuses as this pass leaves them, and what is to be done beside them."""

    def __init__(self, snapshot: Snapshot, doer: Doer) -> None:
        self.snap = snapshot
        self.doer = doer
        self.status = doer.status
        self.policies = {name: policy.status for name, policy in snapshot.policies.items()}
        self.canaries = {canary.metadata.name: canary.status for canary in snapshot.canaries}
        self.before: list[Action] = []  # what a move up waits for
        self.route: list[PatchRoute] = []
        self.between: list[Action] = []  # after the policies, before the canaries
        self.after: list[Action] = []  # what nothing waits for
        self.events: list[EmitEvent] = []
        self.fired: list[str] = []
        self.instants: list[datetime] = []
        self.stalled: tuple[str, str] | None = None  # reason and way out, of the doer
        self.created: str | None = None  # candidate of a canary that this plan creates
        self.settled: set[str] = set()  # canaries whose status a rule has already written
        self.began_watch = False  # for drift; what was read in this pass is of the one before

    @property
    def now(self) -> datetime:
        """The instant of the snapshot."""
        return self.snap.now

    @property
    def scoring(self) -> CRL:
        """What runs are scored by; without weights while none are known."""
        return self.doer.spec.scoring(self.status)

    @property
    def active(self) -> str:
        """The active policy's name; empty before the first."""
        return self.status.active_policy or ""

    def fire(self, rule: str, why: str) -> None:
        """Note that a rule decided something, for logs."""
        self.fired.append(f"{rule}: {why}")

    def set_doer(self, **changes: Any) -> None:
        """Change the doer's status."""
        self.status = self.status.model_copy(update=changes)

    def set_policy(self, name: str, **changes: Any) -> None:
        """Change a policy's status."""
        self.policies[name] = self.policies[name].model_copy(update=changes)

    def set_canary(self, name: str, **changes: Any) -> None:
        """Change a canary's status."""
        self.canaries[name] = self.canaries[name].model_copy(update=changes)

    def event(
        self,
        about: Doer | Policy | CanaryDeployment,
        reason: str,
        note: str,
        *,
        warning: bool = False,
    ) -> None:
        """Emit an Event about an object; only on a transition."""
        self.events.append(
            EmitEvent(
                kind=about.kind,
                name=about.metadata.name,
                uid=about.metadata.uid,
                type="Warning" if warning else "Normal",
                reason=reason,
                note=clip(note, 1024),
            )
        )

    def wake(self, instant: datetime) -> None:
        """Look again at an instant at which something changes by time alone."""
        self.instants.append(instant)

    def look_again(self) -> None:
        """Look again right after this plan: what it writes lets other rules do their part.

        Nobody else asks for that look: the operator knows its own writes before the watch tells.
        """
        self.wake(self.now)

    def live_canaries(self) -> Iterator[CanaryDeployment]:
        """Canaries that have not ended, oldest first, those being deleted included."""
        for canary in self.snap.canaries:
            if self.canaries[canary.metadata.name].stage in LIVE_STAGES:
                yield canary

    def unchanged(self) -> bool:
        """True while no status differs from what is stored."""
        return not self._doer_write() and not self._member_writes()

    def doer_unchanged(self) -> bool:
        """True while the doer's status is what is stored."""
        return not self._doer_write()

    def plan(self) -> Plan:
        """The actions in their order, and the next look."""
        members = self._member_writes()
        policies = [write for write in members if write.kind == "Policy"]
        canaries = [write for write in members if write.kind != "Policy"]
        actions: list[Action] = [*self.before, *self._doer_write(), *self.route]
        actions += [*policies, *self.between, *canaries, *self.events, *self.after]
        return Plan(
            actions=tuple(actions), rules=tuple(self.fired), requeue_after=self._next_look()
        )

    def _doer_write(self) -> list[WriteStatus]:
        return write_if_changed(self.doer, self.doer.status, self.status, self.snap.fence)

    def _member_writes(self) -> list[WriteStatus]:
        writes: list[WriteStatus] = []
        fence = self.snap.fence
        for name in sorted(self.policies, key=self._order_of_policy):
            policy = self.snap.policies[name]
            writes += write_if_changed(policy, policy.status, self.policies[name], fence)
        for canary in self.snap.canaries:
            status = self.canaries[canary.metadata.name]
            writes += write_if_changed(canary, canary.status, status, fence)
        return writes

    def _order_of_policy(self, name: str) -> tuple[bool, str]:
        # Whoever becomes Active comes last, so that no moment shows two.
        return self.policies[name].stage is Stage.ACTIVE, name

    def _next_look(self) -> timedelta | None:
        if not self.instants:
            return None
        return max(min(self.instants) - self.now, timedelta(0))


def write_if_changed(
    about: Doer | Policy | CanaryDeployment, old: S, new: S, fence: int
) -> list[WriteStatus]:
    """A status write where more than the fence differs; none otherwise (steady state: no write)."""
    seen = {"observed_generation": about.metadata.generation, "fence": fence}
    fenced = new.model_copy(update=seen)
    if _same(fenced, old):
        return []
    metadata = about.metadata
    return [
        WriteStatus(
            kind=about.kind,
            name=metadata.name,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            status=fenced,
        )
    ]


def _same(new: StatusModel, old: StatusModel) -> bool:
    """Whatever the fences. Equal models are written alike, which is quicker seen than by writing
    them; and so are some that differ, in what is unset or empty."""
    unfenced = {"fence": None}
    return dict(new) | unfenced == dict(old) | unfenced or _wire(new) == _wire(old)


def _wire(status: StatusModel) -> dict[str, Any]:
    wire = status.to_wire()
    wire.pop("fence", None)
    return wire

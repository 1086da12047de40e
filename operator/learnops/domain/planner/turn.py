"""Whose turn it is among the canaries of a doer, and what the others wait for."""

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.domain.planner.candidate import contends, obstacle
from learnops.domain.planner.conditions import merged, stalled, under_way
from learnops.domain.planner.draft import LOOK_AGAIN, Draft, clip
from learnops.domain.planner.live import holder_of_traffic
from learnops.domain.planner.traffic import WITH_TRAFFIC

# Changes of these are told: by the watch, by whoever reads what runs report, by a new operator.
_TOLD_OF = ("FeatureDisabled", "Paused", "WeightsUnknown")


def holder(draft: Draft) -> CanaryDeployment | None:
    """The canary whose turn it is: the one with traffic, else the oldest that may start."""
    return holder_of_traffic(draft) or next(
        (it for it in draft.live_canaries() if contends(draft, it)), None
    )


def show_waiting(draft: Draft) -> None:
    """Say of every canary that has no traffic what it waits for; the oldest is first in turn."""
    first = holder(draft)
    for canary in draft.live_canaries():
        name = canary.metadata.name
        if name in draft.settled or draft.canaries[name].stage in WITH_TRAFFIC:
            continue
        reason, message, person = _why_waiting(draft, canary, first)
        wanted = stalled(reason, message) if person else under_way(reason, message)
        changes: dict[str, object] = {
            "stage": CanaryStage.PENDING,
            "waiting_for": clip(message, 512),
        }
        if person:  # others may go first: its attempt is counted when it is its turn
            changes["candidates"] = ()
        generation, old = canary.metadata.generation, draft.canaries[name].conditions
        changes["conditions"] = merged(old, wanted, now=draft.now, generation=generation)
        draft.set_canary(name, **changes)


def _why_waiting(
    draft: Draft, canary: CanaryDeployment, first: CanaryDeployment | None
) -> tuple[str, str, bool]:
    found = obstacle(draft, canary)
    if found is not None and found.blocked:
        return found.reason, found.message, True
    if first is not None and first.metadata.uid != canary.metadata.uid:
        message = f"canary {first.metadata.name} of the same doer goes first: wait or delete one"
        return "Conflict", message, True
    if found is not None:
        if found.reason not in _TOLD_OF:
            draft.wake(draft.now + LOOK_AGAIN)
        return found.reason, found.message, found.reason == "Conflict"
    return "Starting", "its turn", False

"""Finish what a stop interrupted, and let go of what is no longer there."""

from learnops.api.canary import CanaryDeployment, CanaryStage, Verdict
from learnops.api.served import TrafficStatus
from learnops.domain.arms import candidates_of, on_trial
from learnops.domain.attempt import salt_of
from learnops.domain.planner import audit
from learnops.domain.planner.canary_end import (
    close_promoted,
    descend,
    finish,
    release,
)
from learnops.domain.planner.canary_started import mark_started
from learnops.domain.planner.decision import End
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.race import settle_drops
from learnops.domain.planner.traffic import WITH_TRAFFIC, control_only, holds, stage_of


def complete_promotion(draft: Draft) -> bool:
    """The doer serves the candidate and the canary does not say so: say so, without evidence.

    Early, because whatever else is seen, the promotion has happened. A revert to a candidate ends
    its canary first, so nothing else looks like this.
    """
    for canary in _had_traffic(draft):
        traffic, status = draft.status.traffic, draft.canaries[canary.metadata.name]
        same_rollout = traffic is not None and traffic.salt == salt_of(canary, status)
        if same_rollout and draft.active in candidates_of(canary):
            draft.fire("complete-promotion", canary.metadata.name)
            settle_drops(draft, canary)
            close_promoted(draft, canary, f"{draft.active} is active")
            return True
    return False


def release_lost(draft: Draft) -> bool:
    """Traffic names a canary that is gone, was made again, has ended, or cannot be read any more:
    control gets it back.

    A canary of the same name with another UID is not the one that was judged.
    """
    traffic = draft.status.traffic
    if traffic is None or traffic.canary is None:
        return False
    if any(holds(traffic, it, draft.canaries[it.metadata.name]) for it in draft.live_canaries()):
        return False
    candidates = on_trial(traffic)
    end = _lost(draft, traffic, name=traffic.canary)
    message = end.message
    if not candidates:  # shares that were edited by hand
        draft.set_doer(traffic=control_only(traffic), current_rollout=None)
    else:
        release(draft, candidates=candidates, rollout=traffic.salt, end=end)
    draft.fire("release-lost", message)
    warning = end.stage is CanaryStage.ERROR
    note = f"{message}: {traffic.active} has all of it again"
    draft.event(draft.doer, end.reason, note, warning=warning)
    return True


def _lost(draft: Draft, traffic: TrafficStatus, *, name: str) -> End:
    """Why the canary that traffic names is not among those that can be judged."""
    unreadable = (it for it in draft.snap.invalid if it.kind == "CanaryDeployment")
    for it in unreadable:
        if it.name == name and traffic.salt.startswith(f"{it.uid}."):
            message = clip(f"canary {name} cannot be read while it has traffic: {it.message}", 512)
            return End(stage=CanaryStage.ERROR, reason="CanaryInvalid", message=message)
    message = f"canary {name} was deleted while it had traffic"
    return End(stage=CanaryStage.ABORTED, reason="CanaryDeleted", message=message)


def complete_descent(draft: Draft) -> bool:
    """Traffic is back at control and the canary still believes that it has some: end it likewise.

    The move in `pendingAudit` tells how it was meant to end. Without one the doer itself was made
    anew meanwhile.
    """
    for canary in _had_traffic(draft):
        pending = audit.pending_of(draft, canary)
        if pending is None:
            message = "its traffic was lost: the doer was made again"
            end = End(stage=CanaryStage.SUPERSEDED, reason="TrafficLost", message=message)
            descend(draft, canary, end)
        else:
            settle_drops(draft, canary)
            stage = CanaryStage(pending.outcome)
            verdict = _verdict(pending.reason) if stage is CanaryStage.ROLLED_BACK else None
            end = End(
                stage=stage,
                reason=pending.reason,
                message=pending.why,
                verdict=verdict,
                candidate=pending.policy,
            )
            finish(draft, canary, end)
        draft.fire("complete-descent", f"{canary.metadata.name}: {end.stage}")
        return True
    return False


def _verdict(reason: str) -> Verdict:
    return Verdict.FUTILE if reason == Verdict.FUTILE else Verdict.ROLLBACK


def complete_start(draft: Draft) -> bool:
    """The canary has its first traffic, or left shadow, and its status does not say so: say so."""
    for canary in draft.live_canaries():
        status = draft.canaries[canary.metadata.name]
        traffic = draft.status.traffic
        if status.stage is not stage_of(traffic) and holds(traffic, canary, status):
            draft.fire("complete-start", canary.metadata.name)
            mark_started(draft, canary)
            return True
    return False


def _had_traffic(draft: Draft) -> list[CanaryDeployment]:
    """Canaries in stage Shadow or Canary to whom the doer gives nothing."""
    found = []
    for canary in draft.live_canaries():
        status = draft.canaries[canary.metadata.name]
        held = holds(draft.status.traffic, canary, status)
        if status.stage in WITH_TRAFFIC and not held:
            found.append(canary)
    return found

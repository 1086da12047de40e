"""How a canary ends: traffic first on the way down, the record first on the way up."""

from learnops.api.canary import (
    ActionType,
    CanaryDeployment,
    CanaryStage,
    CanaryStatus,
    CandidateStatus,
    HistoryEntry,
    Verdict,
)
from learnops.api.policy import GateOutcome, Stage
from learnops.domain.arms import candidates_of, on_trial
from learnops.domain.attempt import salt_of
from learnops.domain.observed import Promotion
from learnops.domain.plan import CloseRollout
from learnops.domain.planner import audit
from learnops.domain.planner.conditions import EVIDENCE, LOW_TRAFFIC, Wanted, find, merged, settled
from learnops.domain.planner.decision import End, Promote
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.slots import other_backend
from learnops.domain.planner.traffic import control_only, holds, in_shadow, settled_on

DROPPED = (Verdict.ROLLBACK, Verdict.FUTILE)
_KEPT_HISTORY = 20
_EVENTS = {
    CanaryStage.ROLLED_BACK: "RolledBack",
    CanaryStage.PROMOTED: "Promoted",
    CanaryStage.INCONCLUSIVE: "Inconclusive",
    CanaryStage.ABORTED: "Aborted",
    CanaryStage.SUPERSEDED: "Superseded",
    CanaryStage.ERROR: "RolloutError",
}


def tried(draft: Draft, canary: CanaryDeployment) -> tuple[str, ...]:
    """Candidates that are still in the race: those with a share or in shadow; where the canary has
    no traffic, those that its status does not know as dropped."""
    names, status = candidates_of(canary), draft.canaries[canary.metadata.name]
    traffic = draft.status.traffic
    if traffic is not None and holds(traffic, canary, status):
        present = on_trial(traffic)
        found = tuple(name for name in names if name in present)
    else:
        dropped = {it.name for it in status.candidates if it.verdict in DROPPED}
        found = tuple(name for name in names if name not in dropped)
    return found or names


def descend(draft: Draft, canary: CanaryDeployment, end: End) -> None:
    """Give control all traffic and end the canary; the policies' stages follow from the doer's."""
    rollout = salt_of(canary, draft.canaries[canary.metadata.name])
    release(draft, candidates=tried(draft, canary), rollout=rollout, end=end)
    finish(draft, canary, end)


def release(draft: Draft, *, candidates: tuple[str, ...], rollout: str, end: End) -> None:
    """Traffic to control, with the moves down noted in the same write."""
    traffic = draft.status.traffic
    assert traffic is not None
    moves = tuple(descent(draft, candidate=it, rollout=rollout, end=end) for it in candidates)
    draft.set_doer(traffic=control_only(traffic), current_rollout=None)
    audit.note_descent(draft, moves=moves, outcome=end.stage, reason=end.reason)


def descent(draft: Draft, *, candidate: str, rollout: str, end: End) -> Promotion:
    """The move down of one candidate; a policy from the archive goes back there."""
    policy = draft.policies.get(candidate)
    archived = policy is not None and policy.stage is Stage.ARCHIVED
    tried_in = Stage.SHADOW if in_shadow(draft.status.traffic) else Stage.CANARY
    came_from = Stage.ARCHIVED if archived else tried_in
    goes_to = Stage.REJECTED if end.reject else Stage.DRAFT
    return audit.row(
        draft,
        id_=audit.move_id(rollout, candidate, end.stage),
        policy=candidate,
        move=(came_from, Stage.ARCHIVED if archived else goes_to),
        why=end.message,
        rollout=rollout,
        reason=end.reason,
        culprit=end.culprit,
    )


def promote(draft: Draft, canary: CanaryDeployment, winner: Promote) -> None:
    """Put the candidate in the active policy's place; everything at once, the record first. The
    others, of whom nothing was shown, are drafts again."""
    name, candidate, replaced = canary.metadata.name, winner.candidate, draft.active
    traffic, salt = draft.status.traffic, salt_of(canary, draft.canaries[canary.metadata.name])
    assert traffic is not None
    rows = _promotion_rows(draft, candidate=candidate, replaced=replaced, rollout=salt)
    audit.record_first(draft, rows)
    over = End(
        stage=CanaryStage.INCONCLUSIVE, reason="NotPromoted", message=f"{candidate} was promoted"
    )
    others = (it for it in tried(draft, canary) if it != candidate)
    moves = tuple(descent(draft, candidate=it, rollout=salt, end=over) for it in others)
    backend = other_backend(draft.doer, traffic)
    draft.set_doer(
        traffic=settled_on(traffic, active=candidate, backend=backend),
        active_policy=candidate,
        previous_policy=replaced,
        current_rollout=None,
    )
    audit.note_descent(draft, moves=moves, outcome=None, reason=over.reason)
    draft.fire("promote", f"{name}: {winner.message}")
    close_promoted(draft, canary, winner.message)


def _promotion_rows(
    draft: Draft, *, candidate: str, replaced: str, rollout: str
) -> tuple[Promotion, ...]:
    moves = (
        (candidate, draft.policies[candidate].stage, Stage.ACTIVE, "shown better"),
        (replaced, Stage.ACTIVE, Stage.ARCHIVED, f"replaced by {candidate}"),
    )
    return tuple(
        audit.row(
            draft,
            id_=audit.move_id(rollout, policy, to_stage),
            policy=policy,
            move=(from_stage, to_stage),
            why=why,
            rollout=rollout,
        )
        for policy, from_stage, to_stage, why in moves
    )


def close_promoted(draft: Draft, canary: CanaryDeployment, message: str) -> None:
    """What is left of a promotion once the doer serves the candidate."""
    salt = salt_of(canary, draft.canaries[canary.metadata.name])
    draft.between.append(CloseRollout(rollout=salt, outcome=CanaryStage.PROMOTED))
    promoted = End(
        stage=CanaryStage.PROMOTED,
        reason="Promoted",
        message=message,
        verdict=Verdict.PROMOTE,
        candidate=draft.active,
    )
    finish(draft, canary, promoted)


def finish(draft: Draft, canary: CanaryDeployment, end: End) -> None:
    """The canary's own status at its end, and the Event that tells of it."""
    name = canary.metadata.name
    status, action = draft.canaries[name], canary.spec.action
    changes: dict[str, object] = {
        "stage": end.stage,
        "end_time": draft.now,
        "waiting_for": "",
        "recommendation": end.verdict or status.recommendation,
        "shares": draft.status.traffic.shares if draft.status.traffic else (),
        "evidence_state": None,
        "estimated_decision_time": None,
        "candidates": _ended(status.candidates),
        "conditions": _end_conditions(draft, canary, end),
    }
    shadow = status.shadow
    if shadow is not None and shadow.outcome is None and end.verdict is Verdict.ROLLBACK:
        changes["shadow"] = shadow.model_copy(update={"outcome": GateOutcome.FAILED})
    if action is not None and action.type is ActionType.ABORT:
        changes["handled_action_id"] = action.id  # done, or moot: the canary has ended
    if end.verdict is not None:
        changes["candidates"] = _ended(with_verdict(status, end.candidate, end.verdict))
    draft.set_canary(name, **changes)
    percent = 100 if end.stage is CanaryStage.PROMOTED else 0
    remember(draft, name, percent=percent, reason=end.reason, message=end.message)
    draft.settled.add(name)
    warning = end.stage in (CanaryStage.ROLLED_BACK, CanaryStage.ERROR)
    draft.event(canary, _EVENTS[end.stage], end.message, warning=warning)


def with_verdict(
    status: CanaryStatus, candidate: str, verdict: Verdict
) -> tuple[CandidateStatus, ...]:
    """The candidates, one of them with its verdict."""
    return tuple(
        it.model_copy(update={"verdict": verdict}) if it.name == candidate else it
        for it in status.candidates
    )


def over_for(status: CanaryStatus, candidate: str, verdict: Verdict) -> tuple[CandidateStatus, ...]:
    """The candidates, one of them with the verdict with which it left the race."""
    told = with_verdict(status, candidate, verdict)
    return tuple(_ended((it,))[0] if it.name == candidate else it for it in told)


def remember(draft: Draft, name: str, *, percent: int, reason: str, message: str) -> None:
    """One more line of the canary's history; the oldest goes."""
    status = draft.canaries[name]
    entry = HistoryEntry(
        time=draft.now,
        stage=status.stage or CanaryStage.PENDING,
        percent=percent,
        reason=reason,
        message=clip(message, 512),
    )
    draft.set_canary(name, history=(*status.history, entry)[-_KEPT_HISTORY:])


def _ended(candidates: tuple[CandidateStatus, ...]) -> tuple[CandidateStatus, ...]:
    """Without what was still to come."""
    return tuple(it.model_copy(update={"runs_still_needed": None}) for it in candidates)


def _end_conditions(draft: Draft, canary: CanaryDeployment, end: End) -> object:
    old = draft.canaries[canary.metadata.name].conditions
    wanted = settled(end.reason, end.message)
    for kind in (EVIDENCE, LOW_TRAFFIC):
        if find(old, kind) is not None:
            wanted += (Wanted(type=kind, true=False, reason="Ended"),)
    return merged(old, wanted, now=draft.now, generation=canary.metadata.generation)

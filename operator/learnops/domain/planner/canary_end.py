"""How a canary ends: traffic first on the way down, the record first on the way up."""

from learnops.api.canary import (
    ActionType,
    CanaryDeployment,
    CanaryStage,
    CandidateStatus,
    HistoryEntry,
    Verdict,
)
from learnops.api.policy import GateOutcome, Stage
from learnops.domain.observed import Promotion
from learnops.domain.plan import CloseRollout
from learnops.domain.planner import audit
from learnops.domain.planner.conditions import EVIDENCE, LOW_TRAFFIC, Wanted, find, merged, settled
from learnops.domain.planner.decision import End
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.slots import other_backend
from learnops.domain.planner.traffic import control_only, in_shadow, salt_of, settled_on

_KEPT_HISTORY = 20
_EVENTS = {
    CanaryStage.ROLLED_BACK: "RolledBack",
    CanaryStage.PROMOTED: "Promoted",
    CanaryStage.INCONCLUSIVE: "Inconclusive",
    CanaryStage.ABORTED: "Aborted",
    CanaryStage.SUPERSEDED: "Superseded",
    CanaryStage.ERROR: "RolloutError",
}


def candidate_of(canary: CanaryDeployment) -> str:
    """The candidate's name."""
    return canary.spec.candidate_refs[0].name


def descend(draft: Draft, canary: CanaryDeployment, end: End) -> None:
    """Give control all traffic and end the canary; the policy's stage follows from the doer's."""
    name = canary.metadata.name
    release(
        draft,
        candidate=candidate_of(canary),
        rollout=salt_of(canary, draft.canaries[name]),
        end=end,
    )
    finish(draft, canary, end)


def release(draft: Draft, *, candidate: str, rollout: str, end: End) -> None:
    """Traffic to control, with the move down noted in the same write."""
    traffic = draft.status.traffic
    assert traffic is not None
    policy = draft.policies.get(candidate)
    archived = policy is not None and policy.stage is Stage.ARCHIVED
    tried_in = Stage.SHADOW if in_shadow(traffic) else Stage.CANARY
    came_from = Stage.ARCHIVED if archived else tried_in
    goes_to = Stage.REJECTED if end.reject else Stage.DRAFT
    moved = audit.row(
        draft,
        id_=f"{rollout}/{end.stage}",
        policy=candidate,
        move=(came_from, Stage.ARCHIVED if archived else goes_to),
        why=end.message,
        rollout=rollout,
    )
    draft.set_doer(traffic=control_only(traffic), current_rollout=None)
    audit.note_descent(draft, moved=moved, outcome=end.stage, reason=end.reason)


def promote(draft: Draft, canary: CanaryDeployment, message: str) -> None:
    """Put the candidate in the active policy's place; everything at once, the record first."""
    name, candidate, replaced = canary.metadata.name, candidate_of(canary), draft.active
    traffic, salt = draft.status.traffic, salt_of(canary, draft.canaries[canary.metadata.name])
    assert traffic is not None
    rows = _promotion_rows(draft, candidate=candidate, replaced=replaced, rollout=salt)
    audit.record_first(draft, rows)
    backend = other_backend(draft.doer, traffic)
    draft.set_doer(
        traffic=settled_on(traffic, active=candidate, backend=backend),
        active_policy=candidate,
        previous_policy=replaced,
        current_rollout=None,
    )
    draft.fire("promote", f"{name}: {message}")
    close_promoted(draft, canary, message)


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
            id_=f"{rollout}/{to_stage}",
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
        stage=CanaryStage.PROMOTED, reason="Promoted", message=message, verdict=Verdict.PROMOTE
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
    if end.verdict is not None and status.candidates:
        latched = status.candidates[0].model_copy(update={"verdict": end.verdict})
        changes["candidates"] = _ended((latched,))
    draft.set_canary(name, **changes)
    percent = 100 if end.stage is CanaryStage.PROMOTED else 0
    remember(draft, name, percent=percent, reason=end.reason, message=end.message)
    draft.settled.add(name)
    warning = end.stage in (CanaryStage.ROLLED_BACK, CanaryStage.ERROR)
    draft.event(canary, _EVENTS[end.stage], end.message, warning=warning)


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

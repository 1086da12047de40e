"""One-off orders to canaries that have no traffic: Abort, Retry, and what does not apply."""

from learnops.api.canary import ActionType, CanaryDeployment, CanaryStage
from learnops.api.policy import Stage
from learnops.domain.arms import candidates_of
from learnops.domain.attempt import salt_of
from learnops.domain.planner import audit
from learnops.domain.planner.canary_end import finish, remember
from learnops.domain.planner.candidate import find_policy
from learnops.domain.planner.decision import End
from learnops.domain.planner.draft import LIVE_STAGES, Draft
from learnops.domain.planner.traffic import WITH_TRAFFIC


def end_pending(draft: Draft) -> bool:
    """A canary without traffic that is aborted, or whose candidate has become active, ends."""
    for canary in draft.live_canaries():
        status = draft.canaries[canary.metadata.name]
        end = None
        if status.stage in WITH_TRAFFIC:
            continue
        if _ordered(draft, canary) is ActionType.ABORT:
            end = End(stage=CanaryStage.ABORTED, reason="Aborted", message="action: Abort")
        elif draft.active in candidates_of(canary):
            message = f"{draft.active} is active already"
            end = End(stage=CanaryStage.SUPERSEDED, reason="AlreadyActive", message=message)
        if end is not None:
            draft.fire("end-pending", f"{canary.metadata.name}: {end.message}")
            finish(draft, canary, end)
            return True
    return False


def retry(draft: Draft) -> bool:
    """An ended canary, or one whose candidate is Rejected, is tried again under a new salt.

    What lifts a rejection is on record before the status says so; the attempt is counted when the
    canary starts.
    """
    for canary in draft.snap.canaries:
        if _ordered(draft, canary) is ActionType.RETRY and _can_retry(draft, canary):
            _try_again(draft, canary)
            return True
    return False


def ignore_misplaced(draft: Draft) -> None:
    """An order that does not apply where the canary is counts as done, and an Event says why."""
    for canary in draft.snap.canaries:
        name, action = canary.metadata.name, canary.spec.action
        ordered = _ordered(draft, canary)
        status = draft.canaries[name]
        if action is None or ordered is None or _can_retry(draft, canary):
            continue
        if ordered is ActionType.ABORT and status.stage in LIVE_STAGES:
            continue  # a rule of this or the next pass does it
        stage = status.stage or CanaryStage.PENDING
        draft.set_canary(name, handled_action_id=action.id)
        draft.fire("ignore-action", f"{name}: {ordered} does nothing in stage {stage}")
        note = f"action {action.id}: {ordered} does nothing in stage {stage}"
        draft.event(canary, "ActionIgnored", note, warning=True)


def _ordered(draft: Draft, canary: CanaryDeployment) -> ActionType | None:
    """The order that has not been done yet."""
    action = canary.spec.action
    if action is None or canary.metadata.deletion_timestamp is not None:
        return None
    if action.id == draft.canaries[canary.metadata.name].handled_action_id:
        return None
    return action.type


def _can_retry(draft: Draft, canary: CanaryDeployment) -> bool:
    if _ordered(draft, canary) is not ActionType.RETRY:
        return False
    candidates, stage = candidates_of(canary), draft.canaries[canary.metadata.name].stage
    if stage is CanaryStage.PROMOTED or draft.active in candidates:
        return False
    if stage not in LIVE_STAGES:
        return True
    return stage not in WITH_TRAFFIC and any(_rejected(draft, it) for it in candidates)


def _rejected(draft: Draft, candidate: str) -> bool:
    if find_policy(draft, candidate) is not None:
        return False
    return draft.policies[candidate].stage is Stage.REJECTED


def _try_again(draft: Draft, canary: CanaryDeployment) -> None:
    name, action = canary.metadata.name, canary.spec.action
    assert action is not None
    status, candidates = draft.canaries[name], candidates_of(canary)
    who = f"{', '.join(candidates)} {'is' if len(candidates) == 1 else 'are'} tried again"
    draft.set_canary(
        name,
        stage=CanaryStage.PENDING,
        retries=status.retries + 1,
        candidates=(),
        sample_ratio=None,
        recommendation=None,
        start_time=None,
        end_time=None,
        handled_action_id=action.id,
    )
    remember(draft, name, percent=0, reason="Retry", message=f"action {action.id}: Retry")
    draft.fire("retry", f"{name}: {who}")
    draft.event(canary, "Retry", f"action {action.id}: {who}")
    _lift(draft, canary, [it for it in candidates if _rejected(draft, it)])


def _lift(draft: Draft, canary: CanaryDeployment, rejected: list[str]) -> None:
    salt = salt_of(canary, draft.canaries[canary.metadata.name])
    moves = tuple(
        audit.row(
            draft,
            id_=audit.move_id(salt, name, "Retry"),
            policy=name,
            move=(Stage.REJECTED, Stage.DRAFT),
            why=f"Retry of canary {canary.metadata.name}",
            rollout="",
        )
        for name in rejected
    )
    if moves:
        audit.record_first(draft, moves)
    for name in rejected:
        draft.set_policy(name, stage=Stage.DRAFT)

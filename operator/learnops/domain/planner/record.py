"""The record against what is served: what an older database that was restored has lost.

The objects say what is served, and stay as they are: nothing is promoted or taken back because a
row is missing. The rows are written again, so that a doer made anew is rebuilt as it was, and what
was Rejected stays so.
"""

from learnops.api.canary import CanaryDeployment, CanaryStage, Verdict
from learnops.api.policy import Policy, Stage
from learnops.domain.attempt import salt_of
from learnops.domain.evidence.ruling import Reason
from learnops.domain.evidence.types import LOSS
from learnops.domain.observed import History, Promotion
from learnops.domain.plan import CloseRollout, EmitEvent, RecordPromotions
from learnops.domain.planner import audit, content
from learnops.domain.planner.canary_start import opening
from learnops.domain.planner.conditions import RECONCILING, reason_of
from learnops.domain.planner.draft import LIVE_STAGES, LOOK_AGAIN, Draft, clip
from learnops.domain.planner.live import lives_of
from learnops.domain.planner.rebuild import last_served, last_stage
from learnops.domain.planner.traffic import candidate_percent
from learnops.domain.unavailable import ErrorReason, Unavailable

_WHY = "on record again: the run log did not have it"


def open_again(draft: Draft) -> None:
    """The live canary's rollout, where a restored run log does not know it: runs are counted anew.

    Idempotent by id, so one that is there stays as it is; nothing is decided in this pass.
    """
    lives = lives_of(draft)
    if not any(_restored(live.evidence) for live in lives):
        return
    canary, traffic = lives[0].canary, draft.status.traffic
    if any(live.candidate not in draft.snap.policies for live in lives):
        return
    draft.fire("open-again", f"{canary.metadata.name}: the run log was restored")
    draft.after.append(opening(draft, canary, percent=candidate_percent(traffic) // len(lives)))
    told = reason_of(canary.status.conditions, RECONCILING) == ErrorReason.RUN_LOG_RESTORED
    draft.wake(draft.now + LOOK_AGAIN if told else draft.now)


def mend_record(draft: Draft) -> None:
    """Write the rows that are missing; while a rollout is under way the record is ahead of it."""
    history, traffic = draft.snap.history, draft.status.traffic
    if not isinstance(history, History) or traffic is None or traffic.canary is not None:
        return
    if draft.before or draft.status.pending_audit:
        return
    rows = (*_left(draft, history), *_served(draft, history))
    if not rows:
        return
    moves = ", ".join(f"{it.policy} {it.to_stage}" for it in rows)
    draft.fire("mend-record", moves)
    note = (
        f"policy_promotions did not know: {moves}; written again. Was an older database restored?"
    )
    draft.after += [RecordPromotions(rows=rows), *_ends(draft), _event(draft, note)]


def _left(draft: Draft, history: History) -> tuple[Promotion, ...]:
    """Policies that are Archived or Rejected, and were not by what is on record."""
    rows = []
    for name, policy in sorted(draft.snap.policies.items()):
        stage = policy.status.stage
        if stage is not draft.policies[name].stage:
            continue  # it moves in this very pass
        if stage is Stage.REJECTED and last_stage(history, policy) is not Stage.REJECTED:
            move, told = (Stage.CANARY, Stage.REJECTED), _rejected_for(draft, name)
            rows.append(_row(draft, name, move, told=told))
        if stage is Stage.ARCHIVED and _own_stage(history, policy) is Stage.ACTIVE:
            rows.append(_row(draft, name, (Stage.ACTIVE, Stage.ARCHIVED)))
    return tuple(rows)


def _rejected_for(draft: Draft, policy: str) -> tuple[str, str]:
    """Reason and culprit, as the canary that rejected it tells, where that is still there."""
    told = (it for status in draft.canaries.values() for it in status.candidates)
    for it in told:
        if it.name == policy and it.verdict is Verdict.FUTILE:
            return Reason.FUTILE.value, ""
        if it.name == policy and it.verdict is Verdict.ROLLBACK:
            return "", (it.evidence.culprit if it.evidence else None) or LOSS
    return "", ""


def _served(draft: Draft, history: History) -> tuple[Promotion, ...]:
    """The active policy, after the one that it replaced."""
    served, active = last_served(history), draft.active
    known = "" if served is None else served.active.policy
    policy = draft.snap.policies.get(active)
    if known == active or policy is None or policy.status.stage is not Stage.ACTIVE:
        return ()
    previous = draft.status.previous_policy
    row = _row(draft, active, (None, Stage.ACTIVE))
    if previous is None or previous in (known, active):
        return (row,)
    before = _row(draft, previous, (None, Stage.ACTIVE))
    return (before, row, _row(draft, previous, (Stage.ACTIVE, Stage.ARCHIVED)))


def _own_stage(history: History, policy: Policy) -> Stage | None:
    """Of this policy alone; what became of the same content under another name does not count."""
    own = (policy.metadata.name, content.digest(policy.spec))
    rows = [it for it in audit.sound_rows(history) if (it.policy, it.digest) == own]
    return rows[-1].to_stage if rows else None


def _row(
    draft: Draft,
    policy: str,
    move: tuple[Stage | None, Stage],
    *,
    told: tuple[str, str] = ("", ""),
) -> Promotion:
    traffic = draft.status.traffic
    revision = 0 if traffic is None else traffic.revision
    id_ = f"{draft.doer.metadata.uid}/mended/{revision}/{policy}/{move[1]}"
    reason, culprit = told
    return audit.row(
        draft,
        id_=id_,
        policy=policy,
        move=move,
        why=_WHY,
        rollout="",
        reason=reason,
        culprit=culprit,
    )


def _ends(draft: Draft) -> list[CloseRollout]:
    """Rollouts that ended, and may be open again in what was restored."""
    return [
        CloseRollout(rollout=salt_of(canary, status), outcome=stage)
        for canary in draft.snap.canaries
        if (stage := _end_of(draft, canary)) is not None
        and (status := draft.canaries[canary.metadata.name])
    ]


def _end_of(draft: Draft, canary: CanaryDeployment) -> CanaryStage | None:
    stage = draft.canaries[canary.metadata.name].stage
    return None if stage in LIVE_STAGES else stage


def _event(draft: Draft, note: str) -> EmitEvent:
    """After the rows, so that it is told of what was done."""
    return EmitEvent(
        kind=draft.doer.kind,
        name=draft.doer.metadata.name,
        uid=draft.doer.metadata.uid,
        type="Warning",
        reason="RecordMended",
        note=clip(note, 1024),
    )


def _restored(evidence: object) -> bool:
    return isinstance(evidence, Unavailable) and evidence.reason is ErrorReason.RUN_LOG_RESTORED

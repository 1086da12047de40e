"""Stage moves on record: rows of `policy_promotions`, and those still to be written."""

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.api.doer import PendingAudit
from learnops.api.policy import Stage
from learnops.domain.attempt import salt_of
from learnops.domain.observed import History, Promotion
from learnops.domain.plan import (
    FINALIZER,
    CloseRollout,
    RecordPromotions,
    SetFinalizer,
    WriteStatus,
)
from learnops.domain.planner import content
from learnops.domain.planner.draft import Draft, clip

BY = "operator"
_MOST_PENDING = 20
ON_TRIAL = (Stage.SHADOW, Stage.CANARY)


def row(
    draft: Draft,
    *,
    id_: str,
    policy: str,
    move: tuple[Stage | None, Stage],
    why: str,
    rollout: str,
    reason: str = "",
    culprit: str = "",
) -> Promotion:
    """One move. A policy whose object is gone has no digest any more; its name remains."""
    found = draft.snap.policies.get(policy)
    return Promotion(
        transition_id=id_,
        policy=policy,
        digest=content.digest(found.spec) if found else "",
        identity=content.identity(found.spec) if found else "",
        from_stage=move[0],
        to_stage=move[1],
        by=BY,
        why=clip(why, 512),
        rollout=rollout,
        reason=reason,
        culprit=culprit,
    )


def move_id(rollout: str, policy: str, to: str) -> str:
    """The transition id of a move within a rollout, which may try several policies."""
    return f"{rollout}/{to}/{policy}"


def record_first(draft: Draft, rows: tuple[Promotion, ...]) -> None:
    """Moves up, before anything shows them; moves down that still wait are recorded before them,
    so that the record has them in the order in which they happened.
    """
    waiting = tuple(as_row(it) for it in draft.doer.status.pending_audit)
    draft.before.append(RecordPromotions(rows=(*waiting, *rows)))


def note_descent(
    draft: Draft, *, moves: tuple[Promotion, ...], outcome: CanaryStage | None, reason: str
) -> None:
    """Keep moves down in `pendingAudit`, in the same write as the traffic, until they are on
    record.

    They also tell a later pass how an interrupted descent was meant to end. `outcome` None: the
    rollout goes on, or ended with another candidate's promotion.
    """
    if not moves:
        return
    pending = tuple(_pending(moved, outcome=outcome, reason=reason) for moved in moves)
    new = {it.transition_id for it in pending}
    others = tuple(it for it in draft.status.pending_audit if it.transition_id not in new)
    draft.set_doer(pending_audit=(*others, *pending)[-_MOST_PENDING:])
    draft.after += [RecordPromotions(rows=moves), *_closed(pending)]


def _pending(moved: Promotion, *, outcome: CanaryStage | None, reason: str) -> PendingAudit:
    return PendingAudit(
        transition_id=moved.transition_id,
        policy=moved.policy,
        digest=moved.digest,
        identity=moved.identity,
        from_stage=str(moved.from_stage or ""),
        to_stage=moved.to_stage,
        by=moved.by,
        why=moved.why,
        rollout=moved.rollout,
        outcome=outcome or "",
        reason=reason,
        culprit=moved.culprit,
    )


def pending_of(draft: Draft, canary: CanaryDeployment) -> PendingAudit | None:
    """The move that ended this attempt, if it is still to be recorded."""
    salt = salt_of(canary, draft.canaries[canary.metadata.name])
    ends = (it for it in draft.status.pending_audit if it.outcome)
    return next((it for it in ends if it.rollout == salt), None)


def settle_audit(draft: Draft) -> None:
    """Write pending moves to the run log, in a pass that leaves the doer's status as it is.

    They come last in the plan, so a dead run log never stands before a status, and no canary that
    is busy keeps them waiting. The finalizer keeps the doer, and with it the rows, until they are
    on record.
    """
    pending, doer = draft.status.pending_audit, draft.doer
    guarded = FINALIZER in doer.metadata.finalizers
    deleted = doer.metadata.deletion_timestamp is not None  # takes no new finalizer
    if pending or guarded:
        draft.look_again()
    if not draft.doer_unchanged():
        return
    if guarded and not pending:
        draft.fire("audit-finalizer", "off: all moves are on record")
        draft.after.append(_finalizer(draft, present=False))
    if not guarded and pending and not deleted:
        draft.fire("audit-finalizer", "on: moves wait to be put on record")
        draft.after.append(_finalizer(draft, present=True))
        return
    if not pending:
        return
    draft.fire("record-pending", f"{len(pending)} move(s) down to put on record")
    _flush(draft)


def _flush(draft: Draft) -> None:
    """The rows, the end of their rollouts, and only then the status without them."""
    pending, doer = draft.status.pending_audit, draft.doer
    draft.after.append(RecordPromotions(rows=tuple(as_row(it) for it in pending)))
    draft.after += _closed(pending)
    cleared = draft.status.model_copy(update={"pending_audit": (), "fence": draft.snap.fence})
    draft.after.append(
        WriteStatus(
            kind=doer.kind,
            name=doer.metadata.name,
            uid=doer.metadata.uid,
            resource_version=doer.metadata.resource_version,
            status=cleared,
        )
    )


def as_row(pending: PendingAudit) -> Promotion:
    """The row that a pending move becomes."""
    return Promotion(
        transition_id=pending.transition_id,
        policy=pending.policy,
        digest=pending.digest,
        identity=pending.identity,
        from_stage=Stage(pending.from_stage) if pending.from_stage else None,
        to_stage=Stage(pending.to_stage),
        by=pending.by,
        why=pending.why,
        rollout=pending.rollout,
        reason=pending.reason,
        culprit=pending.culprit,
    )


def sound_rows(history: History) -> tuple[Promotion, ...]:
    """The record without moves up that came to nothing.

    A move up is recorded before it is made; where the operator was stopped in between and the
    rollout then ended another way, both rows are there. The one that went down is what happened to
    that policy, and control was replaced only where some candidate did go up.
    """
    rows = history.promotions
    descended = {(it.rollout, it.policy) for it in rows if it.rollout and is_descent(it)}
    ups = [it for it in rows if it.to_stage is Stage.ACTIVE]
    came_to = {it.rollout for it in ups if (it.rollout, it.policy) not in descended}
    lost = {rollout for rollout, _ in descended} - came_to
    return tuple(
        it
        for it in rows
        if it.to_stage in ON_TRIAL
        or is_descent(it)
        or (it.rollout not in lost and (it.rollout, it.policy) not in descended)
    )


def is_descent(it: Promotion) -> bool:
    """A row that ended a rollout without promotion."""
    ended_at = (Stage.DRAFT, Stage.REJECTED)
    if it.from_stage in ON_TRIAL:
        return it.to_stage in ended_at
    return it.from_stage is Stage.ARCHIVED and it.to_stage is Stage.ARCHIVED


def _closed(pending: tuple[PendingAudit, ...]) -> list[CloseRollout]:
    ends = [it for it in pending if it.rollout and it.outcome]
    closes = (CloseRollout(rollout=it.rollout, outcome=it.outcome) for it in ends)
    return list(dict.fromkeys(closes))


def _finalizer(draft: Draft, *, present: bool) -> SetFinalizer:
    metadata = draft.doer.metadata
    return SetFinalizer(
        kind=draft.doer.kind,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        present=present,
    )

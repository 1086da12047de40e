"""Stages of policies: what the doer serves decides, so that a stop in between mends itself."""

from learnops.api.doer import PendingAudit
from learnops.api.policy import (
    GateName,
    GateOutcome,
    GateResult,
    Policy,
    Stage,
    StageMove,
)
from learnops.domain.attempt import salt_of
from learnops.domain.observed import History
from learnops.domain.planner import conditions, content
from learnops.domain.planner.audit import BY, ON_TRIAL, as_row, sound_rows
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.rebuild import last_stage, same_as_on_record

_KEPT_MOVES = 10


def settle_policies(draft: Draft) -> None:
    """Digest, lineage, stage and conditions of each policy of the doer."""
    for name, policy in sorted(draft.snap.policies.items()):
        if policy.spec.doer_ref.name != draft.snap.key.doer:
            continue
        line = content.lineage(name, draft.snap.policies)
        draft.set_policy(
            name,
            digest=content.digest(policy.spec),
            identity=content.identity(policy.spec),
            lineage=line.names,
        )
        wanted = _stage(draft, policy)
        if wanted is not None:
            _move(draft, policy, wanted)
        _show(draft, policy, line)


def _stage(draft: Draft, policy: Policy) -> Stage | None:
    """Where the policy stands; None: not known before the record has been read."""
    name, stored = policy.metadata.name, draft.policies[policy.metadata.name].stage
    traffic = draft.status.traffic
    if stored is None:
        return _first_visit(draft, policy)
    if name == draft.status.active_policy:
        return Stage.ACTIVE
    if traffic is None:
        return stored
    if name == traffic.shadow or any(share.policy == name for share in traffic.shares):
        trial = Stage.SHADOW if name == traffic.shadow else Stage.CANARY
        return Stage.ARCHIVED if stored is Stage.ARCHIVED else trial  # it keeps its stage meanwhile
    if stored is Stage.ACTIVE:
        return Stage.ARCHIVED
    if stored in ON_TRIAL:
        ended = _ended_by(draft, name)
        return Stage(ended.to_stage) if ended else Stage.DRAFT
    return stored


def _first_visit(draft: Draft, policy: Policy) -> Stage | None:
    """A new object: Draft, unless the record knows its content as Rejected, or it was Active."""
    history = _record(draft)
    if history is None:
        return None
    known = last_stage(history, policy)
    if policy.metadata.name == draft.status.active_policy:
        return Stage.ACTIVE if same_as_on_record(history, policy) else None
    if known in (Stage.REJECTED, Stage.ARCHIVED):
        return known
    return Stage.ARCHIVED if known is Stage.ACTIVE else Stage.DRAFT


def _record(draft: Draft) -> History | None:
    """The run log's record with the moves that still wait to be in it."""
    history = draft.snap.history
    if not isinstance(history, History):
        return None
    waiting = tuple(as_row(it) for it in draft.status.pending_audit)
    return History(promotions=(*history.promotions, *waiting))


def _ended_by(draft: Draft, policy: str) -> PendingAudit | None:
    return next((it for it in draft.status.pending_audit[::-1] if it.policy == policy), None)


def _move(draft: Draft, policy: Policy, to_stage: Stage) -> None:
    name = policy.metadata.name
    status, came_from = draft.policies[name], policy.status.stage
    if to_stage is came_from:
        return
    fell = came_from in ON_TRIAL and to_stage in (Stage.DRAFT, Stage.REJECTED)
    ended = _ended_by(draft, name) if fell else None
    why = ended.why if ended else _why(draft, policy, to_stage)
    moved = StageMove(
        from_stage=came_from, to_stage=to_stage, by=BY, at=draft.now, why=clip(why, 512)
    )
    gates = _gates(draft, policy, to_stage, ended)
    draft.look_again()
    draft.set_policy(
        name, stage=to_stage, gates=gates, history=(*status.history, moved)[-_KEPT_MOVES:]
    )
    if came_from is None and to_stage is Stage.REJECTED:
        draft.event(policy, "PolicyRejected", "its content was Rejected before", warning=True)


def _why(draft: Draft, policy: Policy, to_stage: Stage) -> str:
    if policy.status.stage is None:
        return "first seen" if to_stage is Stage.DRAFT else "as policy_promotions has it"
    reasons = {
        Stage.ACTIVE: "serves the doer",
        Stage.ARCHIVED: f"replaced by {draft.active}",
        Stage.SHADOW: "rollout started",
        Stage.CANARY: "no harm shown in shadow"
        if policy.status.stage is Stage.SHADOW
        else "rollout started",
        Stage.DRAFT: "tried again" if policy.status.stage is Stage.REJECTED else "rollout ended",
        Stage.REJECTED: "as policy_promotions has it",
    }
    return reasons[to_stage]


def _gates(
    draft: Draft, policy: Policy, to_stage: Stage, ended: PendingAudit | None
) -> tuple[GateResult, ...]:
    """The gates of a trial: open while it lasts, then as the rollout ended or promoted it."""
    gates, came_from = draft.policies[policy.metadata.name].gates, policy.status.stage
    if came_from is None:
        return _gates_on_record(draft, policy)
    if to_stage is Stage.SHADOW:
        return ()
    rollout = draft.status.traffic.salt if draft.status.traffic is not None else ""
    in_shadow = came_from is Stage.SHADOW
    if to_stage is Stage.CANARY:
        where = _judged_in(draft, policy, rollout) or rollout
        outcome = GateOutcome.PASSED if in_shadow else GateOutcome.SKIPPED
        return (_gate(draft, outcome, where, name=GateName.SHADOW),)
    if to_stage is Stage.REJECTED and ended is not None:
        where = _judged_in(draft, policy, ended.rollout) or ended.rollout
        name = GateName.SHADOW if in_shadow else GateName.CANARY
        return _decided(gates, _gate(draft, GateOutcome.FAILED, where, name=name))
    judged = _judged_in(draft, policy, rollout) if to_stage is Stage.ACTIVE and rollout else None
    return gates if not judged else _decided(gates, _gate(draft, GateOutcome.PASSED, judged))


def _decided(gates: tuple[GateResult, ...], gate: GateResult) -> tuple[GateResult, ...]:
    """The gates with this one as it ended now."""
    return (*(it for it in gates if it.name is not gate.name), gate)


def _gates_on_record(draft: Draft, policy: Policy) -> tuple[GateResult, ...]:
    """A policy whose status was lost: how its last rollout was decided, if one was."""
    history = _record(draft)
    rows = sound_rows(history) if history else ()
    name, digest = policy.metadata.name, content.digest(policy.spec)
    own = [it for it in rows if (it.policy, it.digest) == (name, digest)]
    decided = [it for it in own if it.rollout and it.to_stage in (Stage.REJECTED, Stage.ACTIVE)]
    if not decided:
        return ()
    passed = decided[-1].to_stage is Stage.ACTIVE
    where = _judged_in(draft, policy, decided[-1].rollout) or decided[-1].rollout
    name = GateName.SHADOW if decided[-1].from_stage is Stage.SHADOW else GateName.CANARY
    outcome = GateOutcome.PASSED if passed else GateOutcome.FAILED
    return (_gate(draft, outcome, where, name=name),)


def _gate(
    draft: Draft, outcome: GateOutcome, where: str, *, name: GateName = GateName.CANARY
) -> GateResult:
    return GateResult(name=name, outcome=outcome, time=draft.now, evidence_ref=where)


def _judged_in(draft: Draft, policy: Policy, rollout: str) -> str | None:
    """The canary of this policy with that rollout id, and the attempt; None where it is gone."""
    for canary in draft.snap.canaries:
        status = draft.canaries[canary.metadata.name]
        if salt_of(canary, status) != rollout:
            continue
        for tried in status.candidates:
            if tried.name == policy.metadata.name:
                return f"{canary.metadata.name}/{tried.attempt}"
    return None


def _show(draft: Draft, policy: Policy, line: content.Lineage) -> None:
    name = policy.metadata.name
    status = draft.policies[name]
    if line.reason:
        wanted = conditions.stalled(line.reason, line.message)
    elif status.stage is not None:
        wanted = conditions.settled(str(status.stage))
    elif name == draft.status.active_policy and isinstance(draft.snap.history, History):
        wanted = conditions.stalled(
            "ContentChanged", "another content was active under this name: use a new name for it"
        )
    else:
        wanted = conditions.under_way("NoHistory", "waiting for what the run log knows of it")
    generation = policy.metadata.generation
    merged = conditions.merged(status.conditions, wanted, now=draft.now, generation=generation)
    draft.set_policy(name, conditions=merged)

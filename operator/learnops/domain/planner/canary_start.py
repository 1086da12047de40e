"""The beginning of a rollout: its attempt, its row in the run log, its first traffic."""

from typing import Any

from learnops.api.assignment import Unit
from learnops.api.canary import CanaryDeployment, CanaryStage, CandidateStatus
from learnops.api.policy import Stage
from learnops.api.served import TrafficStatus
from learnops.domain.arms import candidates_of, steps_of
from learnops.domain.attempt import salt_of
from learnops.domain.plan import CloseRollout, OpenRollout, Tried
from learnops.domain.planner import audit, content
from learnops.domain.planner.canary_started import mark_started, who_gets
from learnops.domain.planner.candidate import obstacle
from learnops.domain.planner.conditions import merged, under_way
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.live import holder_of_traffic
from learnops.domain.planner.traffic import drawn_for, with_candidates, with_shadow
from learnops.domain.planner.turn import holder


def start(draft: Draft) -> bool:
    """Bring the canary whose turn it is to its first traffic, in two passes.

    The first writes down which attempt it is; the second opens the rollout under it. Counted only
    while opening, an attempt would be counted twice after a stop in between.
    """
    canary = holder(draft)
    if canary is None or holder_of_traffic(draft) is not None or obstacle(draft, canary):
        return False
    status = draft.canaries[canary.metadata.name]
    scored_with = content.crl_digest(draft.scoring)
    if not status.candidates or status.crl_digest != scored_with:
        _prepare(draft, canary, scored_with)
    else:
        _open(draft, canary)
    return True


def _prepare(draft: Draft, canary: CanaryDeployment, scored_with: str) -> None:
    name = canary.metadata.name
    status, candidates = draft.canaries[name], _attempts(draft, canary)
    attempts = ", ".join(f"attempt {it.attempt}" for it in candidates)
    draft.set_canary(
        name,
        stage=CanaryStage.PENDING,
        retries=status.retries + _close_prepared(draft, canary),
        crl_digest=scored_with,
        candidates=candidates,
        shadow=None,
        waiting_for=f"the rollout to be opened ({attempts})",
        conditions=merged(
            status.conditions,
            under_way("Starting"),
            now=draft.now,
            generation=canary.metadata.generation,
        ),
    )
    draft.settled.add(name)
    told = ", ".join(f"attempt {it.attempt} of {it.name}" for it in candidates)
    draft.fire("prepare", f"{name}: {told}")
    draft.look_again()


def _attempts(draft: Draft, canary: CanaryDeployment) -> tuple[CandidateStatus, ...]:
    """Which attempt of its content each candidate is now, counting from 1."""
    before = draft.snap.attempts
    assert isinstance(before, dict)
    return tuple(
        CandidateStatus(
            name=it, attempt=1 + max(before.get(_identity(draft, it), 0), _tried(draft, it))
        )
        for it in candidates_of(canary)
    )


def _close_prepared(draft: Draft, canary: CanaryDeployment) -> int:
    """Close what was prepared under other weights, and perhaps opened since; by how much the salt
    rises, so that no run of the old scoring can be taken for evidence."""
    status = draft.canaries[canary.metadata.name]
    if not status.candidates:
        return 0
    salt = salt_of(canary, status)
    draft.between.append(CloseRollout(rollout=salt, outcome=CanaryStage.SUPERSEDED))
    return 1


def _open(draft: Draft, canary: CanaryDeployment) -> None:
    """Up: the run log first, then traffic; policy and canary follow from it."""
    name, candidates = canary.metadata.name, candidates_of(canary)
    status, traffic = draft.canaries[name], draft.status.traffic
    assert traffic is not None
    strategy, salt = canary.spec.strategy, salt_of(canary, status)
    percent = steps_of(canary)[0] if strategy.shadow is None else 0
    traffic = drawn_for(traffic, draft.doer.spec.assignment)
    draft.set_doer(traffic=traffic)
    draft.before.append(opening(draft, canary, percent=percent))
    if strategy.shadow is None:
        give_first_share(draft, canary, traffic=traffic)
        return
    (candidate,) = candidates  # the schema lets no second one into a shadow stage
    _record_moves(draft, candidates, salt, to_stage=Stage.SHADOW)
    draft.set_doer(
        traffic=with_shadow(traffic, canary=name, salt=salt, candidate=candidate),
        current_rollout=name,
    )
    draft.fire("start", f"{name}: {candidate} in shadow")
    mark_started(draft, canary)


def opening(draft: Draft, canary: CanaryDeployment, *, percent: int) -> OpenRollout:
    """The row of the present attempt, for the unit that the doer's traffic is drawn for.

    `percent` is the share of each candidate. One that was dropped and deleted since is left out.
    """
    status, traffic = draft.canaries[canary.metadata.name], draft.status.traffic
    drawn = None if traffic is None else traffic.assignment
    return OpenRollout(
        rollout=salt_of(canary, status),
        canary=canary.metadata.name,
        canary_uid=canary.metadata.uid,
        control=draft.active,
        candidates=tuple(
            Tried(name=it.name, identity=_identity(draft, it.name), attempt=it.attempt)
            for it in status.candidates
            if it.name in draft.snap.policies
        ),
        percent=percent,
        maturation_seconds=canary.spec.analysis.maturation_seconds,
        crl=draft.scoring.to_wire(),
        safety_thresholds=_safety_thresholds(canary),
        unit=Unit.RUN if drawn is None else drawn.unit,
        epoch_seconds=None if drawn is None else drawn.epoch_seconds,
    )


def give_first_share(draft: Draft, canary: CanaryDeployment, *, traffic: TrafficStatus) -> None:
    """The first step of a rollout that is open: on record, in the doer's traffic, in its status.

    `traffic` is what is served until then, with the unit that the rollout draws for.
    """
    name, candidates = canary.metadata.name, candidates_of(canary)
    percent, salt = steps_of(canary)[0], salt_of(canary, draft.canaries[name])
    _record_moves(draft, candidates, salt, to_stage=Stage.CANARY)
    percents = dict.fromkeys(candidates, percent)
    draft.set_doer(
        traffic=with_candidates(traffic, canary, salt=salt, percents=percents),
        current_rollout=name,
    )
    draft.fire("start", f"{name}: {who_gets(candidates, percent)}")
    mark_started(draft, canary)


def _safety_thresholds(canary: CanaryDeployment) -> dict[str, Any]:
    """On record as they were declared: none of them changes under a canary."""
    told = canary.spec.analysis.to_wire()
    return {name: told[name] for name in ("rollback", "guardrails") if told.get(name)}


def _identity(draft: Draft, candidate: str) -> str:
    return content.identity(draft.snap.policies[candidate].spec)


def _tried(draft: Draft, candidate: str) -> int:
    """The highest attempt of a candidate that a canary's status tells of, which an older run log
    that was restored may not know."""
    started = (it for it in draft.canaries.values() if it.start_time is not None)
    attempts = [each.attempt for it in started for each in it.candidates if each.name == candidate]
    return max(attempts, default=0)


def _record_moves(draft: Draft, candidates: tuple[str, ...], salt: str, *, to_stage: Stage) -> None:
    """A policy from the archive keeps its stage while it is tried."""
    stages = {name: draft.policies[name].stage for name in candidates}
    moves = tuple(
        audit.row(
            draft,
            id_=audit.move_id(salt, name, to_stage),
            policy=name,
            move=(stage, to_stage),
            why="rollout started" if stage is Stage.DRAFT else "no harm shown in shadow",
            rollout=salt,
        )
        for name, stage in stages.items()
        if stage in (Stage.DRAFT, Stage.SHADOW)
    )
    if moves:
        audit.record_first(draft, moves)

"""The beginning of a rollout: its turn, its attempt, its first traffic."""

from typing import Any

from learnops.api.assignment import Unit
from learnops.api.canary import CanaryDeployment, CanaryStage, CandidateStatus, ShadowStatus
from learnops.api.policy import GateOutcome, Stage
from learnops.api.served import TrafficStatus
from learnops.domain.arms import candidates_of, steps_of
from learnops.domain.plan import CloseRollout, OpenRollout, Tried
from learnops.domain.planner import audit, content, ramp
from learnops.domain.planner.canary_end import remember, tried
from learnops.domain.planner.candidate import contends, obstacle
from learnops.domain.planner.conditions import merged, stalled, under_way
from learnops.domain.planner.draft import LOOK_AGAIN, Draft, clip
from learnops.domain.planner.live import NOT_OBSERVED, Live, holder_of_traffic
from learnops.domain.planner.traffic import (
    WITH_TRAFFIC,
    drawn_for,
    in_shadow,
    salt_of,
    with_candidates,
    with_shadow,
)

# Changes of these are told: by the watch, by whoever reads what runs report, by a new operator.
_TOLD_OF = ("FeatureDisabled", "Paused", "WeightsUnknown")


def holder(draft: Draft) -> CanaryDeployment | None:
    """The canary whose turn it is: the one with traffic, else the oldest that may start."""
    return holder_of_traffic(draft) or next(
        (it for it in draft.live_canaries() if contends(draft, it)), None
    )


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
    status, attempts = draft.canaries[name], draft.snap.attempts
    assert isinstance(attempts, dict)
    candidates = tuple(
        CandidateStatus(
            name=it, attempt=1 + max(attempts.get(_identity(draft, it), 0), _tried(draft, it))
        )
        for it in candidates_of(canary)
    )
    attempts_told = ", ".join(f"attempt {it.attempt}" for it in candidates)
    told = ", ".join(f"attempt {it.attempt} of {it.name}" for it in candidates)
    # Prepared under other weights and perhaps opened since: a new salt, so that no run of the old
    # scoring can be taken for evidence.
    again = bool(status.candidates)
    if again:
        salt = salt_of(canary, status)
        draft.between.append(CloseRollout(rollout=salt, outcome=CanaryStage.SUPERSEDED))
    draft.set_canary(
        name,
        stage=CanaryStage.PENDING,
        retries=status.retries + 1 if again else status.retries,
        crl_digest=scored_with,
        candidates=candidates,
        shadow=None,
        waiting_for=f"the rollout to be opened ({attempts_told})",
        conditions=merged(
            status.conditions,
            under_way("Starting"),
            now=draft.now,
            generation=canary.metadata.generation,
        ),
    )
    draft.settled.add(name)
    draft.fire("prepare", f"{name}: {told}")
    draft.look_again()


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
    draft.fire("start", f"{name}: {_who_gets(candidates, percent)}")
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


def _who_gets(candidates: tuple[str, ...], percent: int) -> str:
    if len(candidates) == 1:
        return f"{candidates[0]} gets {percent} %"
    return f"{', '.join(candidates[:-1])} and {candidates[-1]} get {percent} % each"


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


def mark_started(draft: Draft, canary: CanaryDeployment) -> None:
    """The canary's own status at its start; also where a stop came right after its traffic."""
    name, traffic = canary.metadata.name, draft.status.traffic
    assert traffic is not None
    if in_shadow(traffic):
        _mark_shadow(draft, canary)
        return
    status = draft.canaries[name]
    draft.set_canary(
        name,
        stage=CanaryStage.CANARY,
        start_time=draft.now,
        end_time=None,
        step=0,
        step_time=None,
        generation=1,
        shares=(),
        recommendation=None,
        evidence_state=None,
        shadow=_passed(status.shadow),
    )
    candidates = tried(draft, canary)
    live = Live(draft=draft, canary=canary, candidate=candidates[0], evidence=NOT_OBSERVED)
    ramp.count_step(live)
    message = f"{_who_gets(candidates, live.percent)} against {traffic.active}"
    _tell_start(live, message)
    draft.settled.add(name)
    draft.wake(live.deadline)


def _mark_shadow(draft: Draft, canary: CanaryDeployment) -> None:
    """The same at the start of a shadow stage; the deadline runs from the first share on."""
    name, traffic = canary.metadata.name, draft.status.traffic
    assert traffic is not None
    draft.set_canary(
        name,
        stage=CanaryStage.SHADOW,
        start_time=None,
        end_time=None,
        step=0,
        step_time=None,
        shares=traffic.shares,
        recommendation=None,
        evidence_state=None,
        shadow=ShadowStatus(start_time=draft.now),
    )
    (candidate,) = tried(draft, canary)
    live = Live(draft=draft, canary=canary, candidate=candidate, evidence=NOT_OBSERVED)
    _tell_start(live, f"{live.candidate} runs in shadow of {traffic.active}, 0 % of answers")
    draft.settled.add(name)
    draft.look_again()


def _passed(shadow: ShadowStatus | None) -> ShadowStatus | None:
    """A share is given after a stage that was passed, or where there is none."""
    return None if shadow is None else shadow.model_copy(update={"outcome": GateOutcome.PASSED})


def _tell_start(live: Live, message: str) -> None:
    draft, canary, name = live.draft, live.canary, live.canary.metadata.name
    first = "pairs in shadow" if live.in_shadow else f"runs at {live.percent} %"
    draft.set_canary(
        name,
        waiting_for=clip(f"first {first}", 512),
        conditions=merged(
            live.status.conditions,
            under_way("Shadowing" if live.in_shadow else "Progressing", message),
            now=draft.now,
            generation=canary.metadata.generation,
        ),
    )
    reason = "ShadowStarted" if live.in_shadow else "RolloutStarted"
    remember(draft, name, percent=live.percent, reason=reason, message=message)
    draft.event(canary, reason, message)


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

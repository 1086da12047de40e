"""A canary's own status at its start, and what is told of it."""

from learnops.api.canary import CanaryDeployment, CanaryStage, ShadowStatus
from learnops.api.policy import GateOutcome
from learnops.domain.planner import ramp
from learnops.domain.planner.canary_end import remember, tried
from learnops.domain.planner.conditions import merged, under_way
from learnops.domain.planner.draft import Draft, clip
from learnops.domain.planner.live import NOT_OBSERVED, Live
from learnops.domain.planner.traffic import in_shadow


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
    message = f"{who_gets(candidates, live.percent)} against {traffic.active}"
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


def who_gets(candidates: tuple[str, ...], percent: int) -> str:
    if len(candidates) == 1:
        return f"{candidates[0]} gets {percent} %"
    return f"{', '.join(candidates[:-1])} and {candidates[-1]} get {percent} % each"

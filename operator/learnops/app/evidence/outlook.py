"""When a canary will be decided: the runs still needed at the doer's volume, and with other steps.

Pure but for its arithmetic, which takes up to half a second: call it beside the event loop.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from learnops.api.canary import CanaryDeployment
from learnops.api.rollout import Source, Strategy
from learnops.app.evidence.reading import plan_of
from learnops.domain.evidence import anytime, counters
from learnops.domain.evidence.fixed_horizon import HorizonState
from learnops.domain.evidence.forecast import Ramp, Truth
from learnops.domain.evidence.pairs import Pairs
from learnops.domain.evidence.remaining import (
    ASSUMED,
    Remaining,
    State,
    remaining,
    truth_so_far,
)
from learnops.domain.evidence.verdict import Limits
from learnops.domain.observed import OtherSteps

_PLAYS, _SEED = 15, 1
_DAY_SECONDS = 86_400.0
# From the gentlest: with more of the traffic the same evidence takes fewer runs.
_LARGER_STEPS = ((25, 50), (50,))
_LIKELY = 0.5


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """See `FiguresReading`, whose fields these are."""

    runs_still_needed: int
    likely: bool
    other_steps: OtherSteps | None = None


def outlook(
    canary: CanaryDeployment,
    state: State | HorizonState,
    *,
    pairs: Pairs,
    runs_per_day: float | None,
    now: datetime,
) -> Outlook:
    """Where the canary is heading, if the runs to come are like those so far."""
    if isinstance(state, HorizonState):
        found = _until_the_look(state)
    else:
        truth = truth_so_far(pairs, assumed_difference=_assumed(canary))
        found = _play(canary, state, truth=truth, step=canary.status.step, per_day=runs_per_day)
    other = None
    if runs_per_day is not None and not isinstance(state, HorizonState):
        left = _deadline(canary, now) - now
        if timedelta(days=found.runs / runs_per_day) > left:
            other = _other_steps(
                canary, truth, per_day=runs_per_day, days=found.runs / runs_per_day
            )
    return Outlook(runs_still_needed=found.runs, likely=found.decided >= _LIKELY, other_steps=other)


def _until_the_look(state: HorizonState) -> Remaining:
    """One look at a planned number of runs needs no forecast."""
    assert state.plan.horizon is not None
    return Remaining(runs=max(state.plan.horizon - state.evidence().runs, 0), decided=1.0)


def _assumed(canary: CanaryDeployment) -> float:
    """The difference that the canary was made to find, where its runs do not tell yet."""
    analysis = canary.spec.analysis
    if analysis.futility is not None:
        return -float(analysis.futility.min_improvement)
    return 0.0 if float(analysis.promote.margin) > 0.0 else ASSUMED.difference


def _play(
    canary: CanaryDeployment, state: State, *, truth: Truth, step: int, per_day: float | None
) -> Remaining:
    analysis, strategy = canary.spec.analysis, canary.spec.strategy.canary
    a_step = strategy.step_seconds * (per_day or 0.0) / _DAY_SECONDS
    return remaining(
        state,
        truth,
        limits=Limits(min_candidate_runs=analysis.min_candidate_runs, max_runs=analysis.max_runs),
        ramp=Ramp(steps=tuple(float(it) for it in strategy.steps), runs_a_step=int(a_step)),
        step=step,
        plays=_PLAYS,
        seed=_SEED,
    )


def _other_steps(
    canary: CanaryDeployment, truth: Truth, *, per_day: float, days: float
) -> OtherSteps | None:
    """The first of the larger steps that is in time, else the quickest; None: none is quicker."""
    quickest, present = None, canary.spec.strategy.canary.steps
    share = present[min(canary.status.step, len(present) - 1)]
    for steps in _LARGER_STEPS:
        if steps[0] <= share:
            continue
        another = _with_steps(canary, steps)
        runs = _play(another, _fresh(another), truth=truth, step=0, per_day=per_day).runs
        took = runs / per_day
        in_time = took * _DAY_SECONDS <= canary.spec.analysis.deadline_seconds
        if took < days and (quickest is None or took < quickest.days):
            quickest = OtherSteps(steps=steps, days=took, in_time=in_time)
        if quickest is not None and quickest.in_time:
            break
    return quickest


def _with_steps(canary: CanaryDeployment, steps: tuple[int, ...]) -> CanaryDeployment:
    ramp = canary.spec.strategy.canary.model_copy(update={"steps": steps})
    spec = canary.spec.model_copy(update={"strategy": Strategy(canary=ramp)})
    return canary.model_copy(update={"spec": spec})


def _fresh(canary: CanaryDeployment) -> State:
    """A new canary of the same candidate is its next attempt, which must show more."""
    candidates = canary.status.candidates
    plan = plan_of(canary, attempt=(candidates[0].attempt if candidates else 0) + 1)
    if canary.spec.analysis.source is Source.RUN_LOG:
        return anytime.start(plan)
    return counters.start(plan, first_epoch=1)


def _deadline(canary: CanaryDeployment, now: datetime) -> datetime:
    since = canary.status.start_time or now
    return since + timedelta(seconds=canary.spec.analysis.deadline_seconds)

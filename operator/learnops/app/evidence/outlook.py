"""When a canary will be decided: the runs still needed at the doer's volume, and with other steps.

Pure but for its arithmetic, which takes up to half a second: call it beside the event loop.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from learnops.api.canary import CanaryDeployment
from learnops.api.rollout import Source, Strategy
from learnops.app.evidence.reading import plan_of
from learnops.domain.arms import candidates_of, steps_of
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
from learnops.domain.evidence.ruling import Limits
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
    candidate: str,
    state: State | HorizonState,
    *,
    pairs: Pairs,
    runs_per_day: float | None,
    now: datetime,
) -> Outlook:
    """Where the canary is heading with a candidate, if the runs to come are like those so far."""
    if isinstance(state, HorizonState):
        found = _until_the_look(state)
    else:
        truth = truth_so_far(pairs, assumed_difference=_assumed(canary))
        game = _Game(
            canary=canary,
            candidate=candidate,
            truth=truth,
            per_day=runs_per_day,
            others=_others_racing(canary, candidate),
        )
        found = _play(game, state, step=_step_of(canary, candidate))
    other = None
    if runs_per_day is not None and not isinstance(state, HorizonState):
        left, days = _deadline(canary, now) - now, found.runs / runs_per_day
        if timedelta(days=days) > left:
            other = _other_steps(game, per_day=runs_per_day, days=days)
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


@dataclass(frozen=True, kw_only=True)
class _Game:
    """What is played: one candidate against control; `others` take as much of the traffic each."""

    canary: CanaryDeployment
    candidate: str
    truth: Truth
    per_day: float | None
    others: int


def _others_racing(canary: CanaryDeployment, candidate: str) -> int:
    names = {share.policy for share in canary.status.shares} & set(candidates_of(canary))
    return len(names - {candidate})


def _step_of(canary: CanaryDeployment, candidate: str) -> int:
    """Each candidate climbs on its own; `status.step` is that of the farthest."""
    steps, own = steps_of(canary), {it.policy: it.percent for it in canary.status.shares}
    percent = own.get(candidate)
    return steps.index(percent) if percent in steps else canary.status.step


def _play(game: _Game, state: State, *, step: int) -> Remaining:
    strategy = game.canary.spec.strategy.canary
    a_step = strategy.step_seconds * (game.per_day or 0.0) / _DAY_SECONDS
    steps = tuple(float(it) for it in steps_of(game.canary))
    return remaining(
        state,
        game.truth,
        limits=Limits.of(game.canary.spec.analysis),
        ramp=Ramp(steps=steps, runs_a_step=int(a_step), others=game.others),
        step=step,
        plays=_PLAYS,
        seed=_SEED,
    )


def _other_steps(game: _Game, *, per_day: float, days: float) -> OtherSteps | None:
    """The first of the larger steps that is in time, else the quickest; None: none is quicker."""
    canary, quickest, present = game.canary, None, steps_of(game.canary)
    share = present[min(_step_of(canary, game.candidate), len(present) - 1)]
    for wanted in _LARGER_STEPS:
        another = _with_steps(canary, wanted)
        steps = steps_of(another)
        if steps[0] <= share:
            continue
        again = replace(game, canary=another, others=len(candidates_of(canary)) - 1)
        runs = _play(again, _fresh(another, game.candidate), step=0).runs
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


def _fresh(canary: CanaryDeployment, candidate: str) -> State:
    """A new canary of the same candidate is its next attempt, which must show more."""
    attempts = {it.name: it.attempt for it in canary.status.candidates}
    plan = plan_of(canary, candidate=candidate, attempt=attempts.get(candidate, 0) + 1)
    if canary.spec.analysis.source is Source.RUN_LOG:
        return anytime.start(plan)
    return counters.start(plan, first_revision=1)


def _deadline(canary: CanaryDeployment, now: datetime) -> datetime:
    since = canary.status.start_time or now
    return since + timedelta(seconds=canary.spec.analysis.deadline_seconds)

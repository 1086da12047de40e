"""How many runs a canary still needs: the rest of it, played from where it stands.

The assumed truth is what the runs so far suggest; the engine's own state goes on, so what the
e-values have reached already counts. See `forecast`, which plays whole canaries.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from learnops.domain.evidence import anytime, counters
from learnops.domain.evidence.anytime import EngineState
from learnops.domain.evidence.counters import CounterState
from learnops.domain.evidence.forecast import Ramp, Truth, draw, without_guardrails
from learnops.domain.evidence.hypotheses import Floats, Tests
from learnops.domain.evidence.pairs import ArmSums, Pairs
from learnops.domain.evidence.ruling import Limits
from learnops.domain.evidence.standing import Evidence, Standing
from learnops.domain.evidence.types import Observations

FARTHEST_RUNS = 20_000
"""Nothing is played beyond this many runs: a larger answer is of no use to anybody."""

ASSUMED = Truth(mean=0.30, deviation=0.15, difference=-0.05)
"""Of a canary whose runs do not tell yet: that it is worth its while."""

CAUTION_RUNS = 20.0
"""Weight of the assumed difference, in candidate runs; the engine's own w for the same reason."""

_LOOK_RUNS = 50
_LONGEST_LOOK = 1_600
_MEAN_BOUND, _LEAST_DEVIATION, _DEVIATION_BOUND = 0.02, 0.005, 0.95

State = EngineState | CounterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """`runs` of all arms, the median over what was played; `decided`: the share that came to a
    verdict before `maxRuns`."""

    runs: int
    decided: float


def truth_so_far(pairs: Pairs, *, assumed_difference: float = ASSUMED.difference) -> Truth:
    """What the runs so far suggest, and `ASSUMED` where they are too few.

    The difference found is mixed with the assumed one, which weighs 20 runs of the candidate.
    """
    if not pairs.enough:
        return _possible(ASSUMED.mean, ASSUMED.deviation, assumed_difference)
    weight = pairs.candidate.runs / (pairs.candidate.runs + CAUTION_RUNS)
    found = pairs.candidate.mean - pairs.control.mean
    difference = weight * found + (1.0 - weight) * assumed_difference
    return _possible(pairs.control.mean, _deviation(pairs), difference)


def _deviation(pairs: Pairs) -> float:
    """Pooled within the arms."""

    def squares(arm: ArmSums) -> float:
        return arm.runs * arm.deviation**2

    runs = pairs.candidate.runs + pairs.control.runs
    return sqrt((squares(pairs.candidate) + squares(pairs.control)) / runs)


def _possible(mean: float, deviation: float, difference: float) -> Truth:
    """The nearest truth that losses in [0, 1] can have in both arms."""
    low, high = _MEAN_BOUND, 1.0 - _MEAN_BOUND
    control = min(max(mean, low), high)
    candidate = min(max(control + difference, low), high)
    most = _DEVIATION_BOUND * sqrt(min(it * (1.0 - it) for it in (control, candidate)))
    return Truth(
        mean=control,
        deviation=min(max(deviation, _LEAST_DEVIATION), most),
        difference=candidate - control,
    )


def remaining(
    state: State,
    truth: Truth,
    *,
    limits: Limits,
    ramp: Ramp,
    step: int,
    plays: int,
    seed: int,
) -> Remaining:
    """Play the rest of the canary from the step in force; the same seed gives the same answer.

    Guardrails are left out, as in `forecast`: of single terms nothing is assumed.
    """
    rng = np.random.default_rng(seed)
    here = _loss_alone(state) if isinstance(state, EngineState) else state
    most = min(max(limits.max_runs - here.evidence().all_runs, 0), FARTHEST_RUNS)
    rest = _Rest(truth=truth, limits=limits, ramp=ramp, step=step, most=most)
    played = [_play(rng, here, rest=rest) for _ in range(plays)]
    decided = sum(it is not None for it in played) / plays
    runs = float(np.median([most if it is None else it for it in played]))
    return Remaining(runs=round(runs), decided=decided)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """What is played: from `step` on, at most `most` runs."""

    truth: Truth
    limits: Limits
    ramp: Ramp
    step: int
    most: int


def _play(rng: np.random.Generator, state: State, *, rest: _Rest) -> int | None:
    """Runs until the verdict; None: none within `rest.most`."""
    first = since = state.evidence().watermark
    ramp, step, most = rest.ramp, rest.step, rest.most
    look, last = _LOOK_RUNS, len(ramp.steps) - 1
    while (evidence := state.evidence()).watermark - first < most:
        if step < last and evidence.watermark - since >= ramp.runs_a_step:
            if not state.plan.ramp or evidence.may_leave(ramp.steps[step]):
                step, since = step + 1, evidence.watermark
        elif step == last:  # nothing changes any more but the e-values: larger bites
            look = min(2 * look, _LONGEST_LOOK)
        share = ramp.steps[step] / 100.0
        state = _advance(state, rng, rest=rest, share=share, runs=look)
        at = _decided_at(state.evidence(), evidence, limits=rest.limits, share=share)
        if at is not None:
            return min(max(at - first, 0), most)
    return None


def _decided_at(now: Evidence, before: Evidence, *, limits: Limits, share: float) -> int | None:
    """The run after which a verdict falls; promotion waits for its number of candidate runs."""
    missing = max(limits.min_candidate_runs - before.candidate_runs, 0)
    enough = before.watermark + round(missing / share)
    found = list(_crossings(now.rollback, now.futility))
    if now.promote.crossed_at is not None and enough <= now.watermark:
        found.append(max(now.promote.crossed_at, enough))
    return min(found, default=None)


def _crossings(*standings: Standing | None) -> Iterator[int]:
    for one in standings:
        if one is not None and one.crossed_at is not None:
            yield one.crossed_at


def _advance(
    state: State, rng: np.random.Generator, *, rest: _Rest, share: float, runs: int
) -> State:
    news = draw(
        rng,
        rest.truth,
        share=share,
        after=state.evidence().watermark,
        runs=runs,
        others=rest.ramp.others,
    )
    if isinstance(state, EngineState):
        return anytime.advance(state, news)
    for first in range(0, runs, _LOOK_RUNS):
        rows = slice(first, first + _LOOK_RUNS)
        state = counters.absorb(state, _increment(news, rows, share=share))
    return state


def _increment(news: Observations, rows: slice, *, share: float) -> counters.CounterIncrement:
    loss, candidate = news.loss[rows], news.is_candidate[rows]

    def sums(arm: Floats) -> counters.ArmSums:
        return counters.ArmSums(n=len(arm), s=float(arm.sum()), q=float((arm * arm).sum()))

    return counters.CounterIncrement(
        revision=1,
        propensity=share,
        candidate=sums(loss[candidate]),
        control=sums(loss[~candidate]),
    )


def _loss_alone(state: EngineState) -> EngineState:
    """The state without guardrails and interval, whose tests stand behind those of the loss."""
    plan = without_guardrails(state.plan)
    tests = Tests.of(plan)
    kept = len(tests)
    return replace(
        state,
        plan=plan,
        tests=tests,
        arm_sums=state.arm_sums[:1],
        payoff_sums=state.payoff_sums[:, :kept],
        logs=state.logs[:, :kept],
        crossed=state.crossed[:kept],
    )

"""How many runs a canary will take: canaries of an assumed truth, played through the engine itself.

A closed formula would have to follow the mixture of bets, the price of the attempt, the guardrails
of the block and the ramp; playing the shipped engine a few hundred times follows all of them, and
says how much the answer varies from one canary to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from learnops.api.canary import Verdict
from learnops.domain.evidence import anytime
from learnops.domain.evidence.blocks import BLOCK_RUNS
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.ruling import Limits, Look, Reason, ruling
from learnops.domain.evidence.standing import Evidence
from learnops.domain.evidence.types import Observations, TestPlan

Floats = NDArray[np.float64]
_LOOK_RUNS = 5 * BLOCK_RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is assumed of the losses.

    Attributes:
        mean: control's mean loss, 0 to 1.
        deviation: standard deviation of both arms' losses.
        difference: the candidate's mean loss minus control's; below 0 is better.
    """

    mean: float
    deviation: float
    difference: float

    def __post_init__(self) -> None:
        for name, mean in (("mean", self.mean), ("mean + difference", self.mean + self.difference)):
            if not 0.0 < mean < 1.0:
                raise _invalid(f"{name} is {mean:g}; a mean loss lies between 0 and 1")
            most = sqrt(mean * (1.0 - mean))
            if not 0.0 < self.deviation < most:
                raise _invalid(
                    f"deviation is {self.deviation:g}; losses with mean {mean:g} have one above 0 "
                    f"and below {most:.3g}"
                )

    def losses(self, rng: np.random.Generator, candidate: NDArray[np.bool_]) -> Floats:
        """A beta of the assumed mean and deviation for each run."""
        means = self.mean + self.difference * candidate
        weight = means * (1.0 - means) / self.deviation**2 - 1.0
        return np.asarray(rng.beta(means * weight, (1.0 - means) * weight))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Shares in percent, one after the other. Each is kept for `runs_a_step` runs at least, and
    left on its own test where the plan has one. `others`: how many further candidates have as much
    of the traffic."""

    steps: tuple[float, ...]
    runs_a_step: int
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one canary ended: the verdict (Hold: none by the end), and after how many runs."""

    verdict: Verdict
    runs: int
    candidate_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Many canaries of one truth.

    Attributes:
        promoted, rolled_back, futile, undecided: shares of the canaries, together 1.
        runs, candidate_runs: (median, 90th percentile) over all of them, undecided ones at their
            end.
    """

    truth: Truth
    promoted: float
    rolled_back: float
    futile: float
    undecided: float
    runs: tuple[float, float]
    candidate_runs: tuple[float, float]


def forecast(
    plan: TestPlan, limits: Limits, truth: Truth, ramp: Ramp, *, canaries: int, seed: int
) -> Forecast:
    """Play canaries; the same seed gives the same answer."""
    rng = np.random.default_rng(seed)
    ended = [_play(rng, plan, limits, truth, ramp) for _ in range(canaries)]

    def share(verdict: Verdict) -> float:
        return sum(it.verdict is verdict for it in ended) / canaries

    return Forecast(
        truth=truth,
        promoted=share(Verdict.PROMOTE),
        rolled_back=share(Verdict.ROLLBACK),
        futile=share(Verdict.FUTILE),
        undecided=share(Verdict.HOLD),
        runs=_spread([it.runs for it in ended]),
        candidate_runs=_spread([it.candidate_runs for it in ended]),
    )


def _spread(values: Sequence[int]) -> tuple[float, float]:
    return float(np.median(values)), float(np.quantile(values, 0.9, method="higher"))


def _play(
    rng: np.random.Generator, plan: TestPlan, limits: Limits, truth: Truth, ramp: Ramp
) -> Ending:
    """One canary, looked at every 50 runs; a step up waits for its own test and its runs."""
    state, step, since = anytime.start(plan), 0, 0
    while True:
        share = ramp.steps[step] / 100.0
        news = draw(rng, truth, share=share, after=state.watermark)
        state = anytime.advance(state, news)
        evidence = state.evidence()
        reason = ruling(Look.of(evidence), limits)
        if reason is not Reason.PROGRESSING:
            return Ending(
                verdict=reason.verdict, runs=evidence.runs, candidate_runs=evidence.candidate_runs
            )
        if state.watermark - since >= ramp.runs_a_step and _may_leave(plan, evidence, ramp, step):
            step, since = step + 1, state.watermark


def _may_leave(plan: TestPlan, evidence: Evidence, ramp: Ramp, step: int) -> bool:
    if step == len(ramp.steps) - 1:
        return False
    return not plan.ramp or evidence.may_leave(ramp.steps[step])


def draw(
    rng: np.random.Generator,
    truth: Truth,
    *,
    share: float,
    after: int,
    runs: int = _LOOK_RUNS,
    others: int = 0,
) -> Observations:
    """Runs that follow number `after`, each of them resolved; `others` have as much as this one."""
    place = rng.random(runs)
    candidate, taken = place < share, share * (1 + others)
    return Observations(
        seq=np.arange(after + 1, after + runs + 1),
        is_candidate=candidate,
        propensity=np.full(runs, share),
        loss=truth.losses(rng, candidate),
        is_other=~candidate & (place < taken) if others else None,
        control_propensity=np.full(runs, 1.0 - taken) if others else None,
    )


def without_guardrails(plan: TestPlan) -> TestPlan:
    """What a forecast can play: nothing is assumed of single terms, and no interval is needed."""
    return replace(plan, guardrails=(), interval=False)


def _invalid(detail: str) -> EvidenceError:
    return EvidenceError(reason=EvidenceReason.INVALID_PLAN, detail=detail)

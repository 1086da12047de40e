"""Playing canaries of known truth through the shipped engine."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.decisions.families import Draw, Floats, beta
from learnops.domain.evidence import anytime
from learnops.domain.evidence.standing import Evidence
from learnops.domain.evidence.types import Observations, TestPlan

NEVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A canary whose truth is known.

    Attributes:
        runs: how long it is.
        propensity: the candidate's probability, one number or one a run.
        difference: added to the candidate's losses (then clipped to [0, 1]).
        losses: control's.
        drift: added to both arms' losses, one a run.
        guardrails: per term, the rate of ones in control's and in the candidate's runs.
    """

    runs: int = 10_000
    propensity: float | Floats = 0.5
    difference: float = 0.0
    losses: Draw = beta
    drift: Floats | None = None
    guardrails: tuple[tuple[float, float], ...] = ()

    def draw(self, rng: np.random.Generator) -> Observations:
        """One resolved log."""
        candidate = rng.random(self.runs) < self.propensity
        loss = self.losses(rng, self.runs) + self.difference * candidate
        if self.drift is not None:
            loss = loss + self.drift
        return Observations(
            seq=np.arange(1, self.runs + 1),
            is_candidate=candidate,
            propensity=np.broadcast_to(self.propensity, self.runs).astype(np.float64),
            loss=np.clip(loss, 0.0, 1.0),
            terms=self._terms(rng, candidate) if self.guardrails else None,
        )

    def _terms(self, rng: np.random.Generator, candidate: NDArray[np.bool_]) -> Floats:
        control, other = np.array(self.guardrails).T
        rates = np.where(candidate[:, None], other, control)
        return np.asarray(rng.random(rates.shape) < rates, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Called:
    """Where one canary was decided, as run numbers; NEVER where it was not."""

    promoted: float
    rolled_back: float
    futile: float
    candidate_runs: int
    culprit: str | None

    @property
    def lost(self) -> float:
        """Rolled back or futile, whichever came first."""
        return min(self.rolled_back, self.futile)


def call(plan: TestPlan, log: Observations) -> Called:
    """What the engine makes of one log, judged at each block.

    ``promoted`` is where the loss *and* every guardrail had been shown; ``candidate_runs`` are
    those until it was given up, or all.
    """
    evidence = anytime.advance(anytime.start(plan), log).evidence()
    rolled_back, futile = _at(evidence.rollback.crossed_at), NEVER
    if evidence.futility is not None:
        futile = _at(evidence.futility.crossed_at)
    end = min(rolled_back, futile, len(log))
    return Called(
        promoted=_promoted(evidence),
        rolled_back=rolled_back,
        futile=futile,
        candidate_runs=int(log.is_candidate[: int(end)].sum()),
        culprit=evidence.culprit,
    )


def many(rng: np.random.Generator, *, canaries: int, plan: TestPlan, truth: Truth) -> list[Called]:
    """The same truth, drawn anew for each canary."""
    return [call(plan, truth.draw(rng)) for _ in range(canaries)]


def _promoted(evidence: Evidence) -> float:
    needed = (evidence.promote, *(it.promote for it in evidence.guardrails))
    return max(_at(it.crossed_at) for it in needed)


def _at(position: int | None) -> float:
    return NEVER if position is None else float(position)

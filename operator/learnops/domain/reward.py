"""The reward of a run: how good its work was by what was checked afterwards. Beside the CRL.

Its signals are `compile`, `tests`, `errors` and `human`, each from 0 to 1. Of `errors`, a share of
faults, 0 is the best; of the others 1 is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Final

TERMS: Final = ("compile", "tests", "errors", "human")
FAULTS: Final = frozenset({"errors"})
DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "compile": 0.3,
    "tests": 0.4,
    "errors": 0.2,
    "human": 0.1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardLine:
    """One line of the breakdown.

    Attributes:
        term: the signal's name.
        value: as it was told.
        score: 1 the best; `1 - value` where the value counts faults.
        weight: of the doer.
        share: weight * score / sum of the weights of all lines; they sum to the reward.
    """

    term: str
    value: float
    score: float
    weight: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A run's reward, in [0, 1], and what it is made of; `missing` has the signals nobody sent."""

    value: float
    lines: tuple[RewardLine, ...]
    missing: tuple[str, ...]

    @property
    def partial(self) -> bool:
        """Whether a signal that has a weight is not known."""
        return bool(self.missing)


def reward(signals: Mapping[str, float], *, weights: Mapping[str, float]) -> Reward | None:
    """The weighted mean of the signals that are known; None where none of weight is.

    A signal that is absent leaves its weight out: it is neither good nor bad. So a reward of few
    signals is no worse than one of all, only less sure, which is what `partial` says.

    Args:
        signals: the value of each signal by name, in [0, 1]; other names are ignored.
        weights: of the terms, 0 or more; one that is not named has weight 0.
    """
    in_use = [term for term in TERMS if weights.get(term, 0.0) > 0.0]
    known = [term for term in in_use if term in signals]
    if not known:
        return None
    total = fsum(weights[term] for term in known)
    lines = tuple(
        RewardLine(
            term=term,
            value=signals[term],
            score=score,
            weight=weights[term],
            share=weights[term] / total * score,
        )
        for term in known
        for score in [_score(term, signals[term])]
    )
    return Reward(
        value=min(fsum(line.share for line in lines), 1.0),
        lines=lines,
        missing=tuple(term for term in in_use if term not in signals),
    )


def _score(term: str, value: float) -> float:
    return 1.0 - value if term in FAULTS else value

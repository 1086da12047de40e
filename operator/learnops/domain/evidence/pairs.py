"""Win rate and cost difference: what people ask of a canary besides the mean loss.

Both are descriptions and decide nothing: a candidate can win most pairs and be worse in the mean (a
better median hides a worse mean), and a cheap candidate is not a good one.

Each run weighs 1/probability of its arm's draw (1/pi for the candidate, 1/(1 - pi) for control), so
that a share which rose while the day got better or worse does not tilt the comparison. The win rate
is then the weighted Mann-Whitney statistic: the share of pairs (a candidate's run, a control's run)
in which the candidate's loss is the lower one, ties half. (Mann and Whitney 1947, with the weights
of Horvitz and Thompson 1952.) Losses are kept in `LOSS_BINS` equal bins and pairs within one bin
are ties, so the state is 2 x 128 sums however long the log is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOSS_BINS = 128
MIN_RUNS = 10
"""Runs of each arm without which nothing is told: fewer make a number of chance."""


class BinSums(NamedTuple):
    """Some runs of one arm with losses in one bin.

    `weight` is the sum of 1/probability of the draw; `loss` and `loss_squares` are sums over the
    runs of weight x loss and weight x loss^2; the last three are of those whose cost is known:
    how many, sum of the weights, sum of weight x cost in USD.
    """

    is_candidate: bool
    bin: int
    runs: int
    weight: float
    loss: float
    loss_squares: float
    cost_runs: int
    cost_weight: float
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmSums:
    """Sums of one arm; `bins` has the shape (128,), the others are as in BinSums."""

    runs: int = 0
    loss: float = 0.0
    loss_squares: float = 0.0
    cost_runs: int = 0
    cost_weight: float = 0.0
    cost: float = 0.0
    bins: Floats = field(default_factory=lambda: np.zeros(LOSS_BINS))

    @property
    def weight(self) -> float:
        return float(self.bins.sum())

    @property
    def mean(self) -> float:
        """Mean loss; there must be a run."""
        return self.loss / self.weight

    @property
    def deviation(self) -> float:
        """Standard deviation of the losses; there must be a run."""
        return sqrt(max(self.loss_squares / self.weight - self.mean**2, 0.0))

    def plus(self, row: BinSums) -> "ArmSums":
        bins = self.bins.copy()
        bins[row.bin] += row.weight
        return ArmSums(
            runs=self.runs + row.runs,
            loss=self.loss + row.loss,
            loss_squares=self.loss_squares + row.loss_squares,
            cost_runs=self.cost_runs + row.cost_runs,
            cost_weight=self.cost_weight + row.cost_weight,
            cost=self.cost + row.cost,
            bins=bins,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Both arms of one rollout; `watermark` is the number of the last run that was counted."""

    watermark: int = 0
    candidate: ArmSums = field(default_factory=ArmSums)
    control: ArmSums = field(default_factory=ArmSums)

    def advance(self, rows: Iterable[BinSums], *, watermark: int) -> "Pairs":
        """With the runs after the watermark, up to the new one."""
        arms = {True: self.candidate, False: self.control}
        for row in rows:
            arms[row.is_candidate] = arms[row.is_candidate].plus(row)
        return replace(self, watermark=watermark, candidate=arms[True], control=arms[False])

    @property
    def enough(self) -> bool:
        """Whether each arm has runs enough to be described."""
        return min(self.candidate.runs, self.control.runs) >= MIN_RUNS

    def win_rate(self) -> float | None:
        """Share of pairs in which the candidate's loss is lower, 0 to 1; None: too few runs."""
        if not self.enough:
            return None
        mine = self.candidate.bins / self.candidate.weight
        theirs = self.control.bins / self.control.weight
        above = 1.0 - np.add.accumulate(theirs)  # control's share in higher bins
        return float(np.clip(mine @ (above + theirs / 2.0), 0.0, 1.0))

    def cost_delta(self) -> float | None:
        """Mean cost of a run in USD, candidate - control, where it is known; None: of too few."""
        arms = (self.candidate, self.control)
        if min(arm.cost_runs for arm in arms) < MIN_RUNS:
            return None
        mine, theirs = (arm.cost / arm.cost_weight for arm in arms)
        return mine - theirs

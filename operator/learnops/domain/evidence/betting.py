"""The betting tests on inverse-propensity scores: what both methods share.

With m any number in [0, 1] known before the run, pi the probability of the candidate:

    xi = 1{candidate}(L - m)/pi - 1{control}(L - m)/(1 - pi),    E[xi | past] = Delta

is the payoff per run. A test of "Delta <= d" bets on g = xi - d, one of "Delta >= d" on g = d - xi;
both have g >= -b with the b below, so 1 + c*g/b with 0 <= c < 1 is positive and has mean <= 1 under
the null hypothesis. Sources: Waudby-Smith and Ramdas (arXiv 2010.09686), Karampatziakis, Mineiro
and Ramdas (2102.09540), Waudby-Smith et al. (2210.10768).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.levels import promotion_level
from learnops.domain.evidence.types import Decision, Evidence, TestPlan

Floats = NDArray[np.float64]

FRACTION_COUNT = 6
FRACTIONS: Floats = 0.02 * (0.95 / 0.02) ** (np.arange(FRACTION_COUNT) / (FRACTION_COUNT - 1))
"""Six log-spaced fractions c of the largest safe bet, 0.02 to 0.95."""

FRACTION_WEIGHTS: Floats = np.arange(1.0, FRACTION_COUNT + 1) / 21.0
"""Weights of the six, proportional to 1..6, sum 1."""

SHRINKAGE_RUNS = 20.0
"""Candidate runs at which its own mean counts as much as the pooled one."""

MIN_PROPENSITY = 1e-6
"""Smallest probability of an arm that is accepted; keeps every product of a block finite."""

FRACTIONS.flags.writeable = False
FRACTION_WEIGHTS.flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tests:
    """The H one-sided tests of a plan as columns, in the order Rollback, Promote, ramp...

    Attributes (shape (H, 1) unless told):
        sign: +1 where the test bets on the candidate being worse, -1 on its not being worse.
        shift: sign times the margin: g = sign * xi - shift, b = bound + shift.
        worse: bool, sign > 0.
        log_threshold: (H,), log(1/level).
        margin: (H,), the margin.
    """

    sign: Floats
    shift: Floats
    worse: NDArray[np.bool_]
    log_threshold: Floats
    margin: Floats

    @classmethod
    def of(cls, plan: TestPlan) -> Self:
        rows = [
            (1.0, plan.tolerance, plan.rollback_level),
            (-1.0, plan.margin, promotion_level(plan.promote_level, plan.attempt)),
            *((-1.0, test.margin, test.level) for test in plan.ramp),
        ]
        sign, margin, level = np.array(rows).T
        return cls(
            sign=sign[:, None],
            shift=(sign * margin)[:, None],
            worse=(sign > 0)[:, None],
            log_threshold=np.array([-log(value) for value in level]),
            margin=margin,
        )

    def __len__(self) -> int:
        return len(self.margin)


def control_variate(*, arm_sums: Floats, propensity: Floats) -> Floats:
    """m = (1-pi)*mean_candidate + pi*mean_control from the sums over earlier runs.

    It lowers the variance of xi and never touches validity. The candidate's mean is shrunk to the
    pooled one while its runs are few.

    Args:
        arm_sums: shape (4, B): candidate runs and loss sum, control runs and loss sum.
        propensity: shape (..., B).
    """
    runs_c, sum_c, runs_0, sum_0 = arm_sums
    pooled = (1.0 + (sum_c + sum_0)) / (2.0 + (runs_c + runs_0))
    own = runs_c / (runs_c + SHRINKAGE_RUNS)
    mean_c = own * ((0.5 + sum_c) / (1.0 + runs_c)) + (1.0 - own) * pooled
    mean_0 = (0.5 + sum_0) / (1.0 + runs_0)
    return np.asarray((1.0 - propensity) * mean_c + propensity * mean_0)


def bounds(tests: Tests, *, m: Floats, propensity: Floats, other: Floats) -> Floats:
    """b > 0 with g >= -b for each test; shape (..., B) gives (..., H, B).

    ``other`` is the probability of control, 1 - pi with two arms.
    """
    rest = 1.0 - m
    up = np.maximum(m / propensity, rest / other)
    down = np.maximum(rest / propensity, m / other)
    return np.where(tests.worse, up[..., None, :], down[..., None, :]) + tests.shift


def payoffs(tests: Tests, scores: Floats) -> Floats:
    """g of each test for scores xi; shape (..., B) gives (..., H, B)."""
    return tests.sign * scores[..., None, :] - tests.shift


def log_mix(logs: Floats, weights: Floats) -> Floats:
    """log(sum_j w_j exp(logs_j)) of logs (J, H, B) over the first axis, without overflow."""
    peak = np.maximum.reduce(logs)
    terms = np.exp(logs - peak) * weights[:, None, None]
    return np.asarray(peak + np.log(np.add.reduce(terms)))


def latch(
    crossed: NDArray[np.int64], *, log_e: Floats, tests: Tests, positions: Sequence[int]
) -> NDArray[np.int64]:
    """Where ``log_e`` (H, B) first reached the threshold; earlier crossings stay (0: none)."""
    reached = log_e >= tests.log_threshold[:, None]
    if not reached.any():
        return crossed
    first = np.asarray(positions, dtype=np.int64)[reached.argmax(axis=1)]
    return np.where((crossed == 0) & reached.any(axis=1), first, crossed)


def to_evidence(
    plan: TestPlan,
    tests: Tests,
    *,
    log_e: Floats,
    crossed: NDArray[np.int64],
    arm_sums: Floats,
    blocks: int,
    watermark: int,
) -> Evidence:
    """The method-independent result from the columns that every method keeps."""
    decisions = [
        Decision(log_e=e, log_threshold=t, crossed_at=at or None, margin=margin)
        for e, t, at, margin in zip(
            log_e.tolist(),
            tests.log_threshold.tolist(),
            crossed.tolist(),
            tests.margin.tolist(),
            strict=True,
        )
    ]
    runs_c, sum_c, runs_0, sum_0 = arm_sums.tolist()
    shares = (test.share_percent for test in plan.ramp)
    return Evidence(
        rollback=decisions[0],
        promote=decisions[1],
        ramp=dict(zip(shares, decisions[2:], strict=True)),
        runs=int(runs_c + runs_0),
        candidate_runs=int(runs_c),
        control_runs=int(runs_0),
        candidate_loss=sum_c / runs_c if runs_c else None,
        control_loss=sum_0 / runs_0 if runs_0 else None,
        blocks=blocks,
        watermark=watermark,
    )

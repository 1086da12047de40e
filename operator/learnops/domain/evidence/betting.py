"""The betting tests on inverse-propensity scores: what both methods share.

With m any number in [0, 1] known before the run, pi the probability of the candidate:

    xi = 1{candidate}(L - m)/pi - 1{control}(L - m)/(1 - pi),    E[xi | past] = Delta

is the payoff per run. A test of "Delta <= d" bets on g = xi - d, one of "Delta >= d" on g = d - xi;
both have g >= -b with the b below, so 1 + c*g/b with 0 <= c < 1 is positive and has mean <= 1 under
the null hypothesis. Sources: Waudby-Smith and Ramdas (arXiv 2010.09686), Karampatziakis, Mineiro
and Ramdas (2102.09540), Waudby-Smith et al. (2210.10768).

With several candidates (A/B/n) pi_0, the probability of control, stands in place of 1 - pi, and a
run of another candidate has xi = 0.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.hypotheses import Floats, Tests

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


def control_variate(*, arm_sums: Floats, propensity: Floats, control: Floats | None) -> Floats:
    """m = (pi_0*mean_candidate + pi*mean_control)/(pi_0 + pi) from the sums over earlier runs.

    It lowers the variance of xi and never touches validity. The candidate's mean is shrunk to the
    pooled one while its runs are few.

    Args:
        arm_sums: shape (S, 4, B): candidate runs and loss sum, control runs and loss sum.
        propensity: shape (..., B).
        control: the probability of control, None where it is 1 - propensity (two arms).

    Returns:
        shape (..., S, B).
    """
    # Both arms at once: at a tick of five blocks the number of calls is the cost.
    runs, sums = arm_sums[:, 0::2], arm_sums[:, 1::2]
    means, both = (0.5 + sums) / (1.0 + runs), arm_sums[:, :2] + arm_sums[:, 2:]
    pooled = (1.0 + both[:, 1]) / (2.0 + both[:, 0])
    own = runs[:, 0] / (runs[:, 0] + SHRINKAGE_RUNS)
    mean_c, mean_0 = own * means[:, 0] + (1.0 - own) * pooled, means[:, 1]
    pi = propensity[..., None, :]
    if control is None:
        return np.asarray((1.0 - pi) * mean_c + pi * mean_0)
    pi_0 = control[..., None, :]
    # Between the two means by formula; by rounding perhaps an ulp outside [0, 1].
    return np.asarray(np.clip((pi_0 * mean_c + pi * mean_0) / (pi_0 + pi), 0.0, 1.0))


def bounds(tests: Tests, *, m: Floats, propensity: Floats, other: Floats) -> Floats:
    """b > 0 with g >= -b for each test; m of shape (..., S, B) gives (..., H, B).

    ``other`` is the probability of control, 1 - pi with two arms. Since pi + other <= 1, the bound
    of xi is at least 1 on either side, so b > 0 for every margin that a plan may have.
    """
    rest, pi, pi_0 = 1.0 - m, propensity[..., None, :], other[..., None, :]
    up = tests.per_test(np.maximum(m / pi, rest / pi_0))
    down = tests.per_test(np.maximum(rest / pi, m / pi_0))
    return np.where(tests.worse, up, down) + tests.shift


def payoffs(tests: Tests, scores: Floats) -> Floats:
    """g of each test for scores xi; shape (..., S, B) gives (..., H, B)."""
    return tests.sign * tests.per_test(scores) - tests.shift


def log_mix(logs: Floats, weights: Floats) -> Floats:
    """log(sum_j w_j exp(logs_j)) of logs (J, H, B) over the first axis, without overflow."""
    peak = np.maximum.reduce(logs)
    terms = np.exp(logs - peak) * weights[:, None, None]
    return np.asarray(peak + np.log(np.add.reduce(terms)))


def latch(
    crossed: NDArray[np.int64],
    *,
    log_e: Floats,
    tests: Tests,
    positions: Sequence[int] | NDArray[np.int64],
) -> NDArray[np.int64]:
    """Where ``log_e`` (H, B) first reached the threshold; earlier crossings stay (0: none)."""
    reached = log_e >= tests.log_threshold[:, None]
    new = np.logical_or.reduce(reached, axis=1) & (crossed == 0)
    if not np.count_nonzero(new):
        return crossed
    first = np.asarray(positions, dtype=np.int64)[reached.argmax(axis=1)]
    return np.where(new, first, crossed)

"""What others do, on the same logs: a t-test looked at all the time, and fixed thresholds."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from learnops.domain.evidence.types import Observations

LOOK_RUNS = 50
_FIRST_LOOK = 2  # looks; fewer than a hundred runs are too few for any t-test


def welch_at_each_look(log: Observations, *, level: float = 0.05) -> tuple[bool, bool]:
    """Whether one-sided Welch tests, looked at every 50 runs, ever promoted or rolled back."""
    arms = [log.is_candidate, ~log.is_candidate]
    n, mean, variance = (
        np.array(it) for it in zip(*(_moments(log, arm) for arm in arms), strict=True)
    )
    enough = (n >= 2).all(axis=0) & ((variance / np.maximum(n, 1)).sum(axis=0) > 0)
    enough[: _FIRST_LOOK - 1] = False
    if not enough.any():
        return False, False
    n, mean, variance = n[:, enough], mean[:, enough], variance[:, enough]
    part = variance / n
    freedom = part.sum(axis=0) ** 2 / (part**2 / (n - 1)).sum(axis=0)
    t = (mean[0] - mean[1]) / np.sqrt(part.sum(axis=0))
    better, worse = stats.t.cdf(t, freedom), stats.t.sf(t, freedom)
    return bool((better <= level).any()), bool((worse <= level).any())


def thresholds(
    log: Observations, *, tolerated: float = 1.05, failures: int = 5, looks: int = 20
) -> tuple[bool, bool]:
    """Flagger's kind of rule: promoted after ``looks`` intervals unless ``failures`` of them broke.

    An interval of 50 runs breaks where the candidate's mean loss is over ``tolerated`` times
    control's. Returns promoted, rolled back.
    """
    broken = 0
    for first in range(0, looks * LOOK_RUNS, LOOK_RUNS):
        part = slice(first, first + LOOK_RUNS)
        loss, candidate = log.loss[part], log.is_candidate[part]
        if candidate.any() and not candidate.all():
            broken += bool(loss[candidate].mean() > tolerated * loss[~candidate].mean())
        if broken >= failures:
            return False, True
    return True, False


def _moments(log: Observations, arm: NDArray[np.bool_]) -> tuple[object, object, object]:
    """Runs, mean and variance of an arm at each look."""
    ends = slice(LOOK_RUNS - 1, None, LOOK_RUNS)
    n = np.cumsum(arm)[ends].astype(np.float64)
    total = np.cumsum(log.loss * arm)[ends]
    squares = np.cumsum(log.loss**2 * arm)[ends]
    mean = total / np.maximum(n, 1)
    variance = np.maximum(squares - n * mean**2, 0.0) / np.maximum(n - 1, 1)
    return n, mean, variance

"""Levels and margins of the tests that do not depend on data.

Normative: a changed number here is a new ``ENGINE_VERSION``.
"""

from itertools import pairwise
from math import log

from learnops.domain.evidence.errors import EvidenceError, EvidenceReason

ATTEMPT_SHARE = 0.6079
"""6/pi^2 rounded down: the shares 0.6079/k^2 of the attempts k = 1, 2, ... sum to just under 1."""

RAMP_LEVEL = 0.2
"""Level at which "the candidate is worse by the margin or more" is rejected before a step up."""

RAMP_MARGINS: tuple[tuple[float, float], ...] = ((5.0, 0.10), (10.0, 0.07), (25.0, 0.04))
"""(share in percent, margin in loss) for leaving that share; between them linear in log(share)."""

LOSS_WEIGHT = 0.6
"""Weight of the loss in the mean of e-values that rolls back; the guardrails share the rest."""

INTERVAL_LEVEL = 0.05
"""The confidence sequence of the difference holds it with 95 %, at all looks together."""

_INTERVAL_STEPS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.10, 0.15, 0.20, 0.30, 0.50)
INTERVAL_MARGINS: tuple[float, ...] = (
    *(-step for step in reversed(_INTERVAL_STEPS)),
    0.0,
    *_INTERVAL_STEPS,
)
"""The 21 differences at which the confidence sequence is tested, closer where decisions fall."""


def promotion_level(level: float, attempt: int) -> float:
    """Level of the k-th promotion test of one candidate identity: 0.6079 * level / k^2.

    Paying for every attempt, the first too, keeps the chance that a worthless candidate is *ever*
    promoted below ``level`` however often it is tried.
    """
    if attempt < 1:
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN,
            detail=f"attempt is {attempt}; the first attempt of a candidate is 1",
        )
    return ATTEMPT_SHARE * level / attempt**2


def ramp_margin(share_percent: float) -> float:
    """Margin (a difference of losses) that must be excluded before ``share_percent`` is left.

    0.10, 0.07 and 0.04 at 5, 10 and 25 %; linear in log(share) between, constant outside.
    """
    if not 0.0 < share_percent < 100.0:
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN,
            detail=f"a ramp step of {share_percent} %; use shares above 0 and below 100",
        )
    if share_percent <= RAMP_MARGINS[0][0]:
        return RAMP_MARGINS[0][1]
    for (low, at_low), (high, at_high) in pairwise(RAMP_MARGINS):
        if share_percent <= high:
            position = log(share_percent / low) / log(high / low)
            return at_low + position * (at_high - at_low)
    return RAMP_MARGINS[-1][1]

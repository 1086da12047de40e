"""Drift after promotion: has the loss of the active policy risen since it was promoted?

In two parts, both a pure function of the losses in their order:

**Baseline.** The first ``BASELINE_RUNS`` losses give m0, an upper confidence bound of their mean
at 95 %. The plain mean would lie below the truth half of the time, and a detector that starts from
too low a mean alarms on no change at all. The bound is the predictable plug-in empirical-Bernstein
bound for values in [0, 1] (Waudby-Smith & Ramdas, arXiv 2010.09686, theorem 2, one side), with
λ_i a function of the losses before the i-th, and μ_i, σ²_i their running mean and variance:

    m0 = (Σ λ_i x_i + log(1/α) + Σ (x_i − μ_i)² (−log(1 − λ_i) − λ_i)) / Σ λ_i
    λ_i = min(sqrt(2 log(1/α) / (n σ²_i)), 0.75)

**Detector.** A Shiryaev-Roberts e-detector (Shin, Ramdas & Rinaldo, arXiv 2203.03532) for "the mean
is at most m0", one per bet c, averaged:

    R ← (R + 1)(1 + c (x − m0)/m0),  alarm when the average of R reaches the threshold

While the mean stays at or below m0 each factor has mean ≤ 1, so R less the number of runs is a
supermartingale: alarms come on average at most once per ``threshold`` runs, and within n runs with
probability at most n/threshold, whenever one looks and whatever the distribution.

Nothing overflows: R stands still from the alarm on, a factor is at most 1/m0, and m0 is never
below log(1/α)/(0.75 n).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, log, sqrt
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.codec import floats, invalid, whole
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason

STATE_VERSION: Final = 1
BASELINE_RUNS: Final = 1000
"""Losses that m0 is taken from; the detector starts with the next one."""
BETS: Final = (0.02, 0.0518, 0.1342, 0.3475, 0.9)
"""c, log-spaced: the small ones find a small rise of a noisy loss, the large ones a large rise."""
_LOG_INVERSE_ALPHA: Final = log(1 / 0.05)
_MOST_LAMBDA: Final = 0.75

_Five: TypeAlias = tuple[float, float, float, float, float]
_LEARNING: Final[_Five] = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class DriftState:
    """All that is kept between two looks.

    `sums` are those of the baseline: x, (x − μ)², λ, λx, (x − μ)²ψ(λ). `r` is R per bet, 0 while
    the baseline is learned. `alarm_at` is the number of the run (from 1) that raised the alarm.
    """

    runs: int = 0
    sums: _Five = _LEARNING
    baseline: float | None = None
    r: _Five = _LEARNING
    alarm_at: int | None = None

    @property
    def statistic(self) -> float:
        """The average of R, to be held against the threshold."""
        return _average(self.r)

    def to_json(self) -> str:
        """The state as text; ``from_json`` gives the same state, bit for bit."""
        return json.dumps(
            {
                "version": STATE_VERSION,
                "runs": self.runs,
                "sums": self.sums,
                "baseline": self.baseline,
                "r": self.r,
                "alarmAt": self.alarm_at,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "DriftState":
        """The state from its text. Raises EvidenceError (STATE_VERSION, STATE_INVALID)."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise invalid("the text", "is not JSON") from error
        if not isinstance(data, dict):
            raise invalid("the text", "is not an object")
        if data.get("version") != STATE_VERSION:
            found = str(data.get("version"))[:40]
            raise EvidenceError(
                reason=EvidenceReason.STATE_VERSION,
                detail=f"the drift state has version {found}, this is {STATE_VERSION}; "
                "start again from the log",
            )
        return _sound(_read(data))


def advance(state: DriftState, losses: Sequence[float], *, threshold: float) -> DriftState:
    """The state after these losses, which follow those that it holds.

    Args:
        losses: in [0, 1], in the order in which the runs were stored.
        threshold: runs per false alarm, above 1. From an alarm on nothing more is counted.

    Raises:
        EvidenceError: LOSS_NOT_FINITE or LOSS_OUT_OF_RANGE; nothing of the call was counted.
    """
    if not (isfinite(threshold) and threshold > 1):
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN,
            detail=f"the runs per false alarm must be above 1, they are {threshold}",
        )
    values = _checked(losses, first=state.runs + 1)
    if state.alarm_at is not None:
        return state
    missing = max(BASELINE_RUNS - state.runs, 0)
    if missing:
        state = _learn(state, values[:missing])
    return _watch(state, values[missing:], threshold=threshold)


def _learn(state: DriftState, losses: list[float]) -> DriftState:
    runs, (total, spread, weight, weighted, paid) = state.runs, state.sums
    for x in losses:
        mean = (0.5 + total) / (runs + 1)
        variance = (0.25 + spread) / (runs + 1)
        bet = min(sqrt(2 * _LOG_INVERSE_ALPHA / (BASELINE_RUNS * variance)), _MOST_LAMBDA)
        off = (x - mean) ** 2
        runs += 1
        total += x
        spread += off
        weight += bet
        weighted += bet * x
        paid += off * (-log(1 - bet) - bet)
    baseline = None
    if runs == BASELINE_RUNS:
        baseline = min((weighted + _LOG_INVERSE_ALPHA + paid) / weight, 1.0)
    sums = (total, spread, weight, weighted, paid)
    return replace(state, runs=runs, sums=sums, baseline=baseline)


def _watch(state: DriftState, losses: list[float], *, threshold: float) -> DriftState:
    if state.baseline is None:
        return state
    runs, (r1, r2, r3, r4, r5) = state.runs, state.r
    c1, c2, c3, c4, c5 = BETS
    alarm_at = None
    scale = 1 / state.baseline
    for x in losses:
        up = x * scale - 1  # (x − m0)/m0, at least −1
        r1 = (r1 + 1) * (1 + c1 * up)
        r2 = (r2 + 1) * (1 + c2 * up)
        r3 = (r3 + 1) * (1 + c3 * up)
        r4 = (r4 + 1) * (1 + c4 * up)
        r5 = (r5 + 1) * (1 + c5 * up)
        runs += 1
        if _average((r1, r2, r3, r4, r5)) >= threshold:
            alarm_at = runs
            break
    return replace(state, runs=runs, r=(r1, r2, r3, r4, r5), alarm_at=alarm_at)


def _average(r: _Five) -> float:
    return (r[0] + r[1] + r[2] + r[3] + r[4]) / 5


def _checked(losses: Sequence[float], *, first: int) -> list[float]:
    """The losses as floats; refuses what is no loss, naming the run."""
    try:
        values = np.asarray(losses, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvidenceError(
            reason=EvidenceReason.LOSS_NOT_FINITE, detail="a loss must be a number"
        ) from error
    _refuse(~np.isfinite(values), values, first=first, reason=EvidenceReason.LOSS_NOT_FINITE)
    outside = (values < 0) | (values > 1)
    _refuse(outside, values, first=first, reason=EvidenceReason.LOSS_OUT_OF_RANGE)
    found: list[float] = values.tolist()
    return found


def _refuse(
    bad: NDArray[np.bool_], values: NDArray[np.float64], *, first: int, reason: EvidenceReason
) -> None:
    if bad.any():
        place = int(np.argmax(bad))
        detail = f"the loss of run {first + place} is {values[place]}, it must be within [0, 1]"
        raise EvidenceError(reason=reason, detail=detail)


def _read(data: dict[str, Any]) -> DriftState:
    baseline = data.get("baseline")
    if baseline is not None and (not isinstance(baseline, float) or not 0 < baseline <= 1):
        raise invalid("baseline", "is not a number above 0 and up to 1")
    return DriftState(
        runs=whole(data, "runs"),
        sums=_five(data, "sums"),
        baseline=baseline,
        r=_five(data, "r"),
        alarm_at=None if data.get("alarmAt") is None else whole(data, "alarmAt"),
    )


def _five(data: dict[str, Any], name: str) -> _Five:
    a, b, c, d, e = floats(data, name, shape=(5,)).tolist()
    return a, b, c, d, e


def _sound(state: DriftState) -> DriftState:
    """Refuses parts that do not belong together."""
    if (state.baseline is None) != (state.runs < BASELINE_RUNS):
        raise invalid("baseline", f"does not fit {state.runs} runs")
    if state.alarm_at is not None and state.alarm_at != state.runs:
        raise invalid("alarmAt", f"does not fit {state.runs} runs")
    if min(state.r) < 0 or min(state.sums) < 0:
        raise invalid("r or sums", "is below 0")
    return state

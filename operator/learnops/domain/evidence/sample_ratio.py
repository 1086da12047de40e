"""Sample ratio: do the arms get the share of runs that they were meant to get?

A split that is not as planned says that something between the draw and the run log treats the arms
differently, and then no comparison of them means anything. With pi the probability of the candidate
and Beta(300 pi, 300 (1 - pi)) as the prior of the real share, n runs of which k are the candidate's
give the Bayes factor against "the share is pi":

    e = B(300 pi + k, 300 (1 - pi) + n - k) / B(300 pi, 300 (1 - pi)) / (pi^k (1 - pi)^(n - k))

It is an e-process (a mixture of likelihood ratios), so P(e ever >= 100) <= 1 % while the split is
as planned, however often it is looked at; the product over the different pi is one too. A second
copy reads the runs that were completed: there an arm that loses runs shows. Both read the resolved
prefix only: counted as runs finish, a slower good candidate would look like a lost one.

The state is a pair of counts per pi, so it is exact, tiny, and the same however it was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import lgamma, log
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import codec
from learnops.domain.evidence.betting import MIN_PROPENSITY
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.types import Observations

PRIOR_RUNS = 300.0
"""Weight of the prior in runs: small enough to see a shift of a few percent, large enough not to
waste evidence on shares that nobody gets by accident."""

ALARM = 100.0
"""E-value from which the split is not believed."""

MAX_SHARES = 64
"""Different probabilities that one canary may have; a ramp has at most ten steps."""

Counts = Mapping[float, tuple[int, int]]
"""Per pi: runs of candidate and control together, and of the candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """Where both tests stand.

    Attributes:
        assigned_log_e: log e-value on assignments.
        completed_log_e: the same on runs that were reported, not timed out.
        expected_share, observed_share: of the candidate, over all assignments; None without a run.
    """

    assigned_log_e: float
    completed_log_e: float
    expected_share: float | None
    observed_share: float | None

    @property
    def alarm(self) -> bool:
        """Whether either test says that the split is not as planned. Not latched: as it is now."""
        return max(self.assigned_log_e, self.completed_log_e) >= log(ALARM)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatioState:
    """Counts by probability; ``watermark`` is the seq of the last run that was counted."""

    watermark: int = 0
    assigned: Counts = field(default_factory=dict)
    completed: Counts = field(default_factory=dict)

    def result(self) -> SampleRatio:
        """Both e-values, a pure function of the counts."""
        runs = sum(n for n, _ in self.assigned.values())
        expected = sum(pi * n for pi, (n, _) in self.assigned.items())
        observed = sum(k for _, k in self.assigned.values())
        return SampleRatio(
            assigned_log_e=_log_e(self.assigned),
            completed_log_e=_log_e(self.completed),
            expected_share=expected / runs if runs else None,
            observed_share=observed / runs if runs else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able and exact; the counts are whole numbers."""
        return {
            "watermark": self.watermark,
            "assigned": _rows(self.assigned),
            "completed": _rows(self.completed),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read a saved state. Raises EvidenceError StateInvalid."""
        return cls(
            watermark=codec.whole(data, "watermark"),
            assigned=_read(data, "assigned"),
            completed=_read(data, "completed"),
        )


def advance(
    state: SampleRatioState, observations: Observations, *, completed: NDArray[np.bool_]
) -> SampleRatioState:
    """Count runs that follow the watermark; they must have passed ``checks.check``.

    A void registration counts in neither copy: its agent ran control for a reason that has nothing
    to do with the arm (no acknowledgement in time), and says so. Of a run in A/B/n only whether it
    was this candidate or control counts, at the probability pi/(pi + pi_0).

    Args:
        completed: per run, whether it was reported (False: its time ran out).

    Raises:
        EvidenceError: ColumnsMismatch, SequenceGap; InvalidPlan beyond ``MAX_SHARES`` shares.
    """
    if completed.shape != observations.seq.shape or completed.dtype != np.bool_:
        raise EvidenceError(
            reason=EvidenceReason.COLUMNS_MISMATCH,
            detail=f"column completed is {completed.dtype}{completed.shape}; "
            f"give bool{observations.seq.shape}",
        )
    if not len(observations):
        return state
    if observations.seq[0] != state.watermark + 1:
        raise EvidenceError(
            reason=EvidenceReason.SEQUENCE_GAP,
            detail=f"seq {int(observations.seq[0])} where {state.watermark + 1} was due; "
            "read the resolved prefix in order from the watermark",
        )
    counted = _counted(observations)
    share = _share(observations)
    return SampleRatioState(
        watermark=int(observations.seq[-1]),
        assigned=_plus(state.assigned, observations.is_candidate, share, counted),
        completed=_plus(state.completed, observations.is_candidate, share, counted & completed),
    )


def plus(
    state: SampleRatioState,
    *,
    propensity: float,
    assigned: tuple[int, int],
    completed: tuple[int, int] | None,
) -> SampleRatioState:
    """Count an increment of counters of the resolved prefix, all drawn with one probability.

    Where an increment ends is no matter: the e-value is a function of the counts alone.

    Args:
        assigned: (runs of both arms, of the candidate); void ones are in no counter.
        completed: the same of those that were reported. None: nobody tells; the second copy leaves
            these runs out, of both arms.

    Raises:
        EvidenceError: InvalidPlan beyond ``MAX_SHARES`` shares.
    """
    return SampleRatioState(
        watermark=state.watermark + assigned[0],
        assigned=_with(state.assigned, propensity, assigned),
        completed=state.completed
        if completed is None
        else _with(state.completed, propensity, completed),
    )


def _with(before: Counts, propensity: float, more: tuple[int, int]) -> Counts:
    known = before.get(propensity, (0, 0))
    return _bounded({**before, propensity: (known[0] + more[0], known[1] + more[1])})


def _bounded(counts: Counts) -> Counts:
    if len(counts) > MAX_SHARES:
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN,
            detail=f"the runs were drawn with {len(counts)} different probabilities; "
            f"a canary has at most {MAX_SHARES}",
        )
    return counts


def _counted(observations: Observations) -> NDArray[np.bool_]:
    counted = np.ones(len(observations), dtype=np.bool_)
    for left_out in (observations.void, observations.is_other):
        if left_out is not None:
            counted &= ~left_out
    return counted


def _share(observations: Observations) -> NDArray[np.float64]:
    if observations.control_propensity is None:
        return observations.propensity
    both = observations.propensity + observations.control_propensity
    return np.asarray(observations.propensity / both)


def _plus(
    before: Counts,
    is_candidate: NDArray[np.bool_],
    share: NDArray[np.float64],
    counted: NDArray[np.bool_],
) -> Counts:
    after = dict(before)
    values, place = np.unique(share[counted], return_inverse=True)
    runs = np.bincount(place, minlength=len(values))
    candidates = np.bincount(place[is_candidate[counted]], minlength=len(values))
    for pi, n, k in zip(values.tolist(), runs.tolist(), candidates.tolist(), strict=True):
        known = after.get(pi, (0, 0))
        after[pi] = (known[0] + n, known[1] + k)
    return _bounded(after)


def _log_e(counts: Counts) -> float:
    # In a fixed order: a sum of floats depends on it, and a state may have been read in pieces.
    return sum(_log_factor(pi, *counts[pi]) for pi in sorted(counts))


def _log_factor(pi: float, n: int, k: int) -> float:
    a, b = PRIOR_RUNS * pi, PRIOR_RUNS * (1.0 - pi)
    real = _log_beta(a + k, b + n - k) - _log_beta(a, b)
    return real - k * log(pi) - (n - k) * log(1.0 - pi)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _rows(counts: Counts) -> list[list[float]]:
    return [[pi, *counts[pi]] for pi in sorted(counts)]


def _read(data: dict[str, Any], name: str) -> Counts:
    rows = data.get(name)
    if not isinstance(rows, list) or len(rows) > MAX_SHARES:
        raise codec.invalid(name, "is not a list of counts")
    return dict(_read_row(row, name) for row in rows)


def _read_row(row: object, name: str) -> tuple[float, tuple[int, int]]:
    match row:
        case [float(pi), int(n), int(k)] if MIN_PROPENSITY <= pi <= 1 - MIN_PROPENSITY and (
            0 <= k <= n
        ):
            return pi, (n, k)
    raise codec.invalid(name, "holds something else than a probability and two counts")

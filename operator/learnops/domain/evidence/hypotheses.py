"""The one-sided tests of a plan as columns, so that one pass over a block moves all of them.

Order of the rows: roll-back, promote, the ramp, futility, roll-back and promote of each guardrail,
the two sides of the confidence sequence. Each row bets on one loss column ("stream"): 0 is the
loss, k the k-th guardrail's term.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.levels import INTERVAL_LEVEL, INTERVAL_MARGINS, promotion_level
from learnops.domain.evidence.types import TestPlan

Floats = NDArray[np.float64]


class _Row(NamedTuple):
    sign: float
    margin: float
    level: float
    stream: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the rows of each kind stand."""

    ramp: slice
    futility: int | None
    guardrail_rollback: slice
    guardrail_promote: slice
    interval_low: slice
    interval_high: slice

    @classmethod
    def of(cls, plan: TestPlan) -> Self:
        ramp = slice(2, 2 + len(plan.ramp))
        futility = None if plan.futility is None else ramp.stop
        first = ramp.stop + (futility is not None)
        count, grid = len(plan.guardrails), len(INTERVAL_MARGINS) if plan.interval else 0
        middle, last = first + count, first + 2 * count
        return cls(
            ramp=ramp,
            futility=futility,
            guardrail_rollback=slice(first, middle),
            guardrail_promote=slice(middle, last),
            interval_low=slice(last, last + grid),
            interval_high=slice(last + grid, last + 2 * grid),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tests:
    """The H one-sided tests of a plan.

    Attributes (shape (H, 1) unless told):
        sign: +1 where the test bets on the candidate being worse, -1 on its not being worse.
        shift: sign times the margin: g = sign * xi - shift, b = bound + shift.
        worse: bool, sign > 0.
        log_threshold: (H,), log(1/level).
        margin: (H,), the margin.
        streams: how many loss columns there are, 1 + guardrails.
        stream: (H,), the loss column of each test; None where there is only one.
        places: where the rows of each kind stand.
    """

    sign: Floats
    shift: Floats
    worse: NDArray[np.bool_]
    log_threshold: Floats
    margin: Floats
    streams: int
    stream: NDArray[np.intp] | None
    places: Places

    @classmethod
    def of(cls, plan: TestPlan) -> Self:
        rows = list(_rows(plan))
        sign, margin = np.array([row[:2] for row in rows]).T
        guarded = bool(plan.guardrails)
        return cls(
            sign=sign[:, None],
            shift=(sign * margin)[:, None],
            worse=(sign > 0)[:, None],
            log_threshold=np.array([-log(row.level) for row in rows]),
            margin=margin,
            streams=1 + len(plan.guardrails),
            stream=np.array([row.stream for row in rows], dtype=np.intp) if guarded else None,
            places=Places.of(plan),
        )

    def __len__(self) -> int:
        return len(self.margin)

    def per_test(self, columns: Floats) -> Floats:
        """A column of each stream for each test, shape (..., S, B) gives (..., H or 1, B)."""
        return columns if self.stream is None else columns[..., self.stream, :]


def _rows(plan: TestPlan) -> Iterator[_Row]:
    share = 1.0 / plan.candidates
    promote = promotion_level(plan.promote_level, plan.attempt) * share
    rollback = plan.rollback_level * share
    yield _Row(1.0, plan.tolerance, rollback)
    yield _Row(-1.0, plan.margin, promote)
    for step in plan.ramp:
        yield _Row(-1.0, step.margin, step.level)
    if plan.futility is not None:
        yield _Row(1.0, -plan.futility.min_improvement, plan.futility.level * share)
    for stream, guardrail in enumerate(plan.guardrails, start=1):
        yield _Row(1.0, guardrail.tolerance, rollback, stream)
    for stream, guardrail in enumerate(plan.guardrails, start=1):
        yield _Row(-1.0, guardrail.margin, promote, stream)
    if plan.interval:
        yield from (_Row(1.0, margin, INTERVAL_LEVEL / 2) for margin in INTERVAL_MARGINS)
        yield from (_Row(-1.0, margin, INTERVAL_LEVEL / 2) for margin in INTERVAL_MARGINS)

"""From the columns that every method keeps to the evidence that callers read."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.hypotheses import Floats, Places, Tests
from learnops.domain.evidence.standing import Difference, Evidence, GuardrailEvidence, Standing
from learnops.domain.evidence.types import LOSS, TestPlan


def to_evidence(
    plan: TestPlan,
    tests: Tests,
    *,
    log_e: Floats,
    crossed: NDArray[np.int64],
    arm_sums: Floats,
    blocks: int,
    watermark: int,
    culprit: int | None = None,
    mean_score: float | None = None,
    all_runs: int | None = None,
) -> Evidence:
    """The method-independent result.

    Args:
        log_e: (H,). crossed: (H,), 0 = not. arm_sums: (S, 4).
        culprit: the stream that told most for roll-back where it crossed.
        mean_score: mean of xi over all scored runs, for the estimate of the difference.
        all_runs: where there are other candidates; None: there are none.
    """
    standings = _standings(tests, log_e=log_e, crossed=crossed)
    places = tests.places
    shares = (test.share_percent for test in plan.ramp)
    runs_c, sum_c, runs_0, sum_0 = arm_sums[0].tolist()
    return Evidence(
        rollback=standings[0],
        promote=standings[1],
        ramp=dict(zip(shares, standings[places.ramp], strict=True)),
        futility=None if places.futility is None else standings[places.futility],
        guardrails=_guardrails(plan, standings, places=places, arm_sums=arm_sums),
        culprit=None if culprit is None else _stream_name(plan, culprit),
        difference=_difference(standings, places=places, mean_score=mean_score),
        runs=int(runs_c + runs_0),
        candidate_runs=int(runs_c),
        control_runs=int(runs_0),
        all_runs=int(runs_c + runs_0) if all_runs is None else all_runs,
        candidate_loss=_mean(sum_c, runs_c),
        control_loss=_mean(sum_0, runs_0),
        blocks=blocks,
        watermark=watermark,
    )


def _standings(tests: Tests, *, log_e: Floats, crossed: NDArray[np.int64]) -> list[Standing]:
    columns = (log_e, tests.log_threshold, crossed, tests.margin)
    return [
        Standing(log_e=e, log_threshold=threshold, crossed_at=at or None, margin=margin)
        for e, threshold, at, margin in zip(*(it.tolist() for it in columns), strict=True)
    ]


def _guardrails(
    plan: TestPlan, standings: Sequence[Standing], *, places: Places, arm_sums: Floats
) -> tuple[GuardrailEvidence, ...]:
    rows = zip(
        plan.guardrails,
        standings[places.guardrail_rollback],
        standings[places.guardrail_promote],
        arm_sums[1:].tolist(),
        strict=True,
    )
    return tuple(
        GuardrailEvidence(
            term=guardrail.term,
            rollback=rollback,
            promote=promote,
            candidate_mean=_mean(sums[1], sums[0]),
            control_mean=_mean(sums[3], sums[2]),
        )
        for guardrail, rollback, promote, sums in rows
    )


def _difference(
    standings: Sequence[Standing], *, places: Places, mean_score: float | None
) -> Difference | None:
    """The outermost margins that are not rejected: rejected once is rejected for good."""
    lows, highs = standings[places.interval_low], standings[places.interval_high]
    if mean_score is None or not lows:
        return None
    low = max((it.margin for it in lows if it.crossed), default=-1.0)
    high = min((it.margin for it in highs if it.crossed), default=1.0)
    return Difference(estimate=min(max(mean_score, low), high), low=low, high=high)


def _stream_name(plan: TestPlan, stream: int) -> str:
    return LOSS if stream == 0 else plan.guardrails[stream - 1].term


def _mean(total: float, count: float) -> float | None:
    return total / count if count else None

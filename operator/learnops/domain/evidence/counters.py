"""``Counters``: the e-process from counts, sums and sums of squares alone (Prometheus).

Where single runs are not known, each factor 1 + c*y (y = g/b >= -1, 0 <= c < 1) is replaced by its
empirical Bernstein lower bound, whose log is linear in y and y^2:

    log(1 + c*y) >= c*y + y^2 (c + log(1 - c))

so the log product over an increment follows from its sums. It is a lower bound of a product with
mean <= 1, so it keeps every promise of the exact test and needs about twice the runs. m comes from
earlier increments only. Source: Fan, Grama and Liu (arXiv 1311.6273); Waudby-Smith and Ramdas
(2010.09686), sec. 3.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import codec, counter_codec, sample_ratio
from learnops.domain.evidence.betting import (
    FRACTION_COUNT,
    FRACTION_WEIGHTS,
    FRACTIONS,
    bounds,
    control_variate,
    latch,
    log_mix,
)
from learnops.domain.evidence.counter_fold import Folded, fold, unfold
from learnops.domain.evidence.counter_series import (
    ArmSums,
    CounterIncrement,
    CounterSample,
    Series,
    check_increment,
    collect,
    difference_counters,
)
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.hypotheses import Floats, Tests
from learnops.domain.evidence.result import to_evidence
from learnops.domain.evidence.sample_ratio import SampleRatioState
from learnops.domain.evidence.standing import Evidence
from learnops.domain.evidence.types import TestPlan

__all__ = [
    "ArmSums",
    "CounterIncrement",
    "CounterSample",
    "CounterState",
    "Series",
    "absorb",
    "difference_counters",
    "observe",
    "start",
]

NOTHING_FOLDED = Folded()
NOTHING_COUNTED = SampleRatioState()
CURVATURE: Floats = FRACTIONS + np.log1p(-FRACTIONS)
"""c + log(1 - c) <= 0 per fraction: what a squared payoff costs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CounterState:
    """Sums so far, the e-values, and the last sample per series, which is the watermark.

    One status write stores all of it, so no increment can be counted twice or lost.

    Attributes:
        increments: how many increments were absorbed.
        arm_sums: (4,), candidate runs and loss sum, control runs and loss sum.
        logs: (6, H), log of the lower bound of the product per fraction.
        crossed: (H,), runs absorbed at the first crossing, 0 = none.
        first_revision: series of revisions before it are another canary's and left out.
        samples: last sample of each series.
        folded: processes whose series are kept no more.
        control_timeouts: control's runs that were resolved by time; None: not known of all.
        ratio: runs per arm and probability, for the sample ratio.
    """

    plan: TestPlan
    tests: Tests
    increments: int
    arm_sums: Floats
    logs: Floats
    crossed: NDArray[np.int64]
    first_revision: int
    samples: Mapping[Series, CounterSample]
    control_timeouts: int | None = 0
    folded: Folded = NOTHING_FOLDED
    ratio: SampleRatioState = NOTHING_COUNTED

    @property
    def control_timeout_fraction(self) -> float | None:
        """Of control's runs, the share that was resolved by time (0 before the first); or None."""
        if self.control_timeouts is None:
            return None
        return self.control_timeouts / float(self.arm_sums[2]) if self.arm_sums[2] else 0.0

    def evidence(self) -> Evidence:
        return to_evidence(
            self.plan,
            self.tests,
            log_e=log_mix(self.logs[..., None], FRACTION_WEIGHTS)[:, 0],
            crossed=self.crossed,
            arm_sums=self.arm_sums[None],
            blocks=self.increments,
            watermark=_runs(self.arm_sums),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            **codec.head(method="Counters", plan=self.plan),
            "increments": self.increments,
            "armSums": self.arm_sums.tolist(),
            "logs": self.logs.tolist(),
            "crossed": self.crossed.tolist(),
            "firstEpoch": self.first_revision,
            "folded": sorted(self.folded.marks),
            "gap": self.folded.gap,
            "controlTimeouts": self.control_timeouts,
            "ratio": self.ratio.to_dict(),
            "samples": counter_codec.rows(self.samples),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, plan: TestPlan) -> Self:
        """Read a saved state.

        Raises:
            EvidenceError: StateVersion, PlanChanged or StateInvalid; a new generation must begin.
        """
        codec.check_head(data, method="Counters", plan=plan)
        tests = Tests.of(plan)
        return cls(
            plan=plan,
            tests=tests,
            increments=codec.whole(data, "increments"),
            arm_sums=codec.floats(data, "armSums", shape=(4,)),
            logs=codec.floats(data, "logs", shape=(FRACTION_COUNT, len(tests))),
            crossed=codec.positions(data, "crossed", shape=(len(tests),)),
            first_revision=codec.whole(data, "firstEpoch"),
            samples=counter_codec.read_samples(data),
            folded=counter_codec.read_folded(data),
            ratio=counter_codec.read_ratio(data),
            control_timeouts=None
            if data.get("controlTimeouts") is None
            else codec.whole(data, "controlTimeouts"),
        )


def start(
    plan: TestPlan, *, first_revision: int, baseline: Iterable[CounterSample] = ()
) -> CounterState:
    """The state before the first run of an analysis generation: every e-value is 1.

    Args:
        first_revision: the first traffic revision of the generation.
        baseline: the counters as they stand now, where the generation begins inside a revision;
            what they already hold is not evidence.

    Raises:
        EvidenceError: InvalidPlan, where the plan asks what counters do not tell: guardrails,
            several candidates or the confidence sequence.
    """
    if plan.guardrails or plan.candidates > 1 or plan.interval:
        raise EvidenceError(
            reason=EvidenceReason.INVALID_PLAN,
            detail="counters hold the loss of one candidate alone: "
            "guardrails, several candidates and the interval need the run log",
        )
    tests = Tests.of(plan)
    return CounterState(
        plan=plan,
        tests=tests,
        increments=0,
        arm_sums=np.zeros(4),
        logs=np.zeros((FRACTION_COUNT, len(tests))),
        crossed=np.zeros(len(tests), dtype=np.int64),
        first_revision=first_revision,
        samples=collect(baseline, first_revision=first_revision),
    )


def observe(
    state: CounterState, scrape: Iterable[CounterSample], *, propensities: Mapping[int, float]
) -> CounterState:
    """Absorb one scrape of all instances: difference it against the watermark and move that.

    Args:
        propensities: probability of the candidate by traffic revision.

    Raises:
        EvidenceError: a series that cannot be evidence; ``state`` stays as it was.
    """
    now = [one for one in scrape if one.series.revision >= state.first_revision]
    known, folded = unfold(state.samples, state.folded, now)
    known, folded = fold(known, folded, now)
    increments, samples = difference_counters(
        known, now, propensities=propensities, first_revision=state.first_revision
    )
    for increment in increments:
        state = absorb(state, increment)
    return replace(state, samples=samples, folded=folded)


def absorb(state: CounterState, increment: CounterIncrement) -> CounterState:
    """Judge one increment; m comes from the increments before it."""
    check_increment(increment)
    steps = _arm_steps(increment)
    if not _runs(steps):
        return state
    pi = np.array([increment.propensity])
    m = control_variate(arm_sums=state.arm_sums[None, :, None], propensity=pi, control=None)
    b = bounds(state.tests, m=m, propensity=pi, other=1.0 - pi)[:, 0]
    total, squares = _payoff_sums(state.tests, increment, m=float(m[0, 0]))
    gain = FRACTIONS[:, None] * (total / b) + CURVATURE[:, None] * (squares / (b * b))
    logs, arm_sums = state.logs + gain, state.arm_sums + steps
    log_e = log_mix(logs[..., None], FRACTION_WEIGHTS)
    return replace(
        state,
        increments=state.increments + 1,
        arm_sums=arm_sums,
        logs=logs,
        control_timeouts=_plus(state.control_timeouts, increment.control.timeouts),
        crossed=latch(state.crossed, log_e=log_e, tests=state.tests, positions=[_runs(arm_sums)]),
        ratio=sample_ratio.plus(
            state.ratio,
            propensity=increment.propensity,
            assigned=(_runs(steps), increment.candidate.n),
            completed=_completed(increment),
        ),
    )


def _payoff_sums(tests: Tests, increment: CounterIncrement, *, m: float) -> tuple[Floats, Floats]:
    """Sums of g and g^2 of each test over the runs of an increment, shape (H,)."""
    pi, runs = increment.propensity, increment.candidate.n + increment.control.n
    total_c, squares_c = _centred(increment.candidate, m=m)
    total_0, squares_0 = _centred(increment.control, m=m)
    xi = total_c / pi - total_0 / (1.0 - pi)
    xi_squares = squares_c / pi**2 + squares_0 / (1.0 - pi) ** 2
    sign, shift = tests.sign[:, 0], tests.shift[:, 0]
    total = sign * xi - shift * runs
    squares = xi_squares - 2.0 * sign * shift * xi + shift * shift * runs
    # Rounding may push the squares below what Cauchy-Schwarz allows; too few would favour the test.
    return total, np.maximum(squares, total * total / runs)


def _centred(sums: ArmSums, *, m: float) -> tuple[float, float]:
    """Sums of L - m and (L - m)^2."""
    return sums.s - m * sums.n, max(sums.q - 2.0 * m * sums.s + m * m * sums.n, 0.0)


def _arm_steps(increment: CounterIncrement) -> Floats:
    candidate, control = increment.candidate, increment.control
    return np.array([candidate.n, candidate.s, control.n, control.s], dtype=np.float64)


def _completed(increment: CounterIncrement) -> tuple[int, int] | None:
    """Runs of both arms, and of the candidate, that were reported; None: timeouts are not told."""
    candidate, control = increment.candidate, increment.control
    if candidate.timeouts is None or control.timeouts is None:
        return None
    mine = candidate.n - candidate.timeouts
    return mine + control.n - control.timeouts, mine


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _runs(arm_sums: Floats) -> int:
    return int(arm_sums[0] + arm_sums[2])

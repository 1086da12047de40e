"""``Anytime``: the exact betting e-process on the run log (decisions.md, the default method).

Ten consecutive registrations make a block, whatever their propensity. Sums are frozen at the
start of a block; m, b and the adaptive bet follow from them and the run's own propensity; tests are
judged at block ends only and an incomplete tail is not judged. So every e-value is a pure function
of the log:

    e = 1/2 sum_j w_j prod(1 + c_j g/b) + 1/2 prod(1 + lambda g)
    lambda = min(max(2 + sum g, 0) / (4/(pi(1-pi)) + sum g^2), 0.8/b)

with the sums over earlier blocks. P(e ever >= 1/level) <= level under the null hypothesis (Ville).

Bit for bit: within a block the ten runs are added and multiplied one after the other (reductions
over the leading axis go row by row), then blocks are accumulated in order, and a block is never
split. So going on from a saved state gives exactly what reading the log from its start gives.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import codec
from learnops.domain.evidence.betting import (
    FRACTION_COUNT,
    FRACTION_WEIGHTS,
    FRACTIONS,
    bounds,
    control_variate,
    latch,
    log_mix,
    payoffs,
)
from learnops.domain.evidence.blocks import BLOCK_RUNS, Blocks
from learnops.domain.evidence.checks import check
from learnops.domain.evidence.guardrails import weighted_rollback
from learnops.domain.evidence.hypotheses import Floats, Tests
from learnops.domain.evidence.result import to_evidence
from learnops.domain.evidence.standing import Evidence
from learnops.domain.evidence.types import Observations, TestPlan

STAKES = FRACTION_COUNT + 1
"""Six fixed fractions and the adaptive bet."""

STAKE_WEIGHTS: Floats = np.append(FRACTION_WEIGHTS / 2.0, 0.5)

_SLAB_COLUMNS = 4000
"""Blocks times tests worked on at once: keeps the arrays in the processor's cache on a long log."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EngineState:
    """Everything that later blocks need of the earlier ones, for H tests on S loss columns.

    Attributes:
        plan: the plan it belongs to.
        watermark: seq of the last run of the last judged block; read the log after it.
        blocks: judged blocks.
        scored: runs in them that are not void, those of other candidates included.
        arm_sums: (S, 4), candidate runs and loss sum, control runs and loss sum.
        payoff_sums: (2, H), sum of g and of g^2.
        logs: (7, H), log of the product of factors per stake.
        crossed: (H,), seq of the block end of the first crossing, 0 = none.
        culprit: the loss column that told most for roll-back at its crossing.
    """

    plan: TestPlan
    tests: Tests
    watermark: int
    blocks: int
    scored: int
    arm_sums: Floats
    payoff_sums: Floats
    logs: Floats
    crossed: NDArray[np.int64]
    culprit: int | None = None

    def evidence(self) -> Evidence:
        log_e, _ = weighted_rollback(
            log_mix(self.logs[..., None], STAKE_WEIGHTS),
            guardrails=self.tests.places.guardrail_rollback,
        )
        return to_evidence(
            self.plan,
            self.tests,
            log_e=log_e[:, 0],
            crossed=self.crossed,
            arm_sums=self.arm_sums,
            blocks=self.blocks,
            watermark=self.watermark,
            culprit=self.culprit,
            mean_score=self._mean_score(),
            all_runs=self.scored,
        )

    def _mean_score(self) -> float | None:
        """Mean of xi: the first row is the roll-back test, whose g is xi - tolerance."""
        if not self.scored:
            return None
        return float(self.payoff_sums[0, 0]) / self.scored + self.plan.tolerance

    def to_dict(self) -> dict[str, Any]:
        return {
            **codec.head(method="Anytime", plan=self.plan),
            "watermark": self.watermark,
            "blocks": self.blocks,
            "scored": self.scored,
            "armSums": codec.pack(self.arm_sums),
            "payoffSums": codec.pack(self.payoff_sums),
            "logs": codec.pack(self.logs),
            "crossed": self.crossed.tolist(),
            "culprit": self.culprit,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, plan: TestPlan) -> Self:
        """Read a saved state.

        Raises:
            EvidenceError: StateVersion, PlanChanged or StateInvalid; start again from the log.
        """
        codec.check_head(data, method="Anytime", plan=plan)
        tests = Tests.of(plan)
        culprit = None if data.get("culprit") is None else codec.whole(data, "culprit")
        if culprit is not None and culprit >= tests.streams:
            raise codec.invalid("culprit", "is none of the loss and the guardrails")
        return cls(
            plan=plan,
            tests=tests,
            watermark=codec.whole(data, "watermark"),
            blocks=codec.whole(data, "blocks"),
            scored=codec.whole(data, "scored"),
            arm_sums=codec.packed(data, "armSums", shape=(tests.streams, 4)),
            payoff_sums=codec.packed(data, "payoffSums", shape=(2, len(tests))),
            logs=codec.packed(data, "logs", shape=(STAKES, len(tests))),
            crossed=codec.positions(data, "crossed", shape=(len(tests),)),
            culprit=culprit,
        )


def start(plan: TestPlan, *, watermark: int = 0) -> EngineState:
    """The state before the first run of an analysis generation: every e-value is 1.

    ``watermark`` is the number of the last registration before the generation; blocks count on
    from it.
    """
    tests = Tests.of(plan)
    return EngineState(
        plan=plan,
        tests=tests,
        watermark=watermark,
        blocks=0,
        scored=0,
        arm_sums=np.zeros((tests.streams, 4)),
        payoff_sums=np.zeros((2, len(tests))),
        logs=np.zeros((STAKES, len(tests))),
        crossed=np.zeros(len(tests), dtype=np.int64),
    )


def advance(state: EngineState, observations: Observations) -> EngineState:
    """Judge every complete block of ``observations``, the resolved prefix after the watermark.

    The runs of an incomplete tail are checked but not counted; read them again next time.

    Raises:
        EvidenceError: a run that cannot be evidence; ``state`` stays as it was.
    """
    terms = tuple(guardrail.term for guardrail in state.plan.guardrails)
    check(observations, after=state.watermark, terms=terms)
    complete = len(observations) - len(observations) % BLOCK_RUNS
    slab = max(1, _SLAB_COLUMNS // len(state.tests)) * BLOCK_RUNS
    for first in range(0, complete, slab):
        last = min(first + slab, complete)
        state = _advance_blocks(state, Blocks.of(observations, first, last))
    return state


def _advance_blocks(state: EngineState, blocks: Blocks) -> EngineState:
    tests, other = state.tests, blocks.other
    arm_sums = _running(state.arm_sums, np.add.reduce(_arm_steps(blocks)))
    before, control = arm_sums[..., :-1], blocks.control_propensity
    m = control_variate(arm_sums=before, propensity=blocks.propensity, control=control)
    g = _payoffs(tests, blocks, m=m, other=other)
    b = bounds(tests, m=m, propensity=blocks.propensity, other=other)
    payoff_sums = _running(state.payoff_sums, np.add.reduce(_payoff_steps(g)))
    stake = adaptive_bet(
        payoff_sums[..., :-1], propensity=blocks.propensity, bound=b, control=control
    )
    logs = _running(state.logs, _log_products(g=g, b=b, stake=stake))
    return _judged(state, blocks, arm_sums=arm_sums, payoff_sums=payoff_sums, logs=logs)


def _judged(
    state: EngineState, blocks: Blocks, *, arm_sums: Floats, payoff_sums: Floats, logs: Floats
) -> EngineState:
    """The state after the blocks, with the tests judged at the end of each."""
    last = state.watermark + blocks.count * BLOCK_RUNS
    ends = np.arange(state.watermark + BLOCK_RUNS, last + 1, BLOCK_RUNS)
    log_e, told = weighted_rollback(
        log_mix(logs[..., 1:], STAKE_WEIGHTS), guardrails=state.tests.places.guardrail_rollback
    )
    crossed = latch(state.crossed, log_e=log_e, tests=state.tests, positions=ends)
    scored = blocks.propensity.size if blocks.live is None else int(blocks.live.sum())
    return EngineState(
        plan=state.plan,
        tests=state.tests,
        watermark=last,
        blocks=state.blocks + blocks.count,
        scored=state.scored + scored,
        arm_sums=arm_sums[..., -1].copy(),
        payoff_sums=payoff_sums[..., -1].copy(),
        logs=logs[..., -1].copy(),
        crossed=crossed,
        culprit=_culprit(state, told, at=int(crossed[0])),
    )


def _culprit(state: EngineState, told: NDArray[np.intp] | None, *, at: int) -> int | None:
    """Latched with the crossing of the roll-back test, whose block ends at ``at``."""
    if state.culprit is not None or not at:
        return state.culprit
    if told is None:
        return 0
    return int(told[(at - state.watermark) // BLOCK_RUNS - 1])


def _arm_steps(blocks: Blocks) -> Floats:
    """What each run adds to the arm sums, shape (10, S, 4, B)."""
    streams = blocks.losses.shape[1]
    steps = np.empty((BLOCK_RUNS, streams, 4, blocks.count))
    steps[:, :, 0] = blocks.candidate[:, None]
    steps[:, :, 2] = blocks.control[:, None]
    if blocks.live is not None:
        steps[:, :, 0::2] *= blocks.live[:, None, None]
    np.multiply(steps[:, :, 0::2], blocks.losses[:, :, None], out=steps[:, :, 1::2])
    return steps


def _payoffs(tests: Tests, blocks: Blocks, *, m: Floats, other: Floats) -> Floats:
    """g of each test and run, shape (10, H, B); g of a void run is 0, so its factor is 1."""
    centred = blocks.losses - m
    # One division: a sign in the divisor is that of the quotient, to the last bit.
    xi = centred / np.where(blocks.candidate > 0.0, blocks.propensity, -other)[:, None]
    if blocks.control_propensity is not None:
        xi *= (blocks.candidate + blocks.control)[:, None]
    g = payoffs(tests, xi)
    return g if blocks.live is None else g * blocks.live[:, None]


def _payoff_steps(g: Floats) -> Floats:
    """g and g^2 of each run, shape (10, 2, H, B)."""
    steps = np.empty((len(g), 2, *g.shape[1:]))
    steps[:, 0] = g
    np.multiply(g, g, out=steps[:, 1])
    return steps


def adaptive_bet(
    payoff_sums: Floats, *, propensity: Floats, bound: Floats, control: Floats | None = None
) -> Floats:
    """lambda, capped at 0.8/b, shape (..., H, B).

    Args:
        payoff_sums: sums of g and of g^2 over earlier blocks, shape (2, H, B).
        propensity: shape (..., B).
        bound: b, shape (..., H, B).
        control: the probability of control; None: 1 - propensity. 1/(pi(1-pi)) is 1/pi + 1/(1-pi),
            the variance that the arms' rarity gives to xi, so with more arms it is 1/pi + 1/pi_0.
    """
    total, squares = payoff_sums
    if control is None:
        prior = 4.0 / (propensity * (1.0 - propensity))
    else:
        prior = 4.0 * (1.0 / propensity + 1.0 / control)
    wish = np.maximum(2.0 + total, 0.0) / (prior[..., None, :] + squares)
    return np.asarray(np.minimum(wish, 0.8 / bound))


def _log_products(*, g: Floats, b: Floats, stake: Floats) -> Floats:
    """Log of each block's product of factors per stake, shape (7, H, B).

    One logarithm a block: a factor lies between 0.05 and about 1/MIN_PROPENSITY, so the product of
    ten neither underflows nor overflows.
    """
    factors = np.empty((len(g), STAKES, *g.shape[1:]))
    np.multiply(FRACTIONS[:, None, None], (g / b)[:, None], out=factors[:, :-1])
    np.multiply(stake, g, out=factors[:, -1])
    factors += 1.0
    return np.asarray(np.log(np.multiply.reduce(factors)))


def _running(start_at: Floats, steps: Floats) -> Floats:
    """Sums before each block and after the last, shape (..., B + 1), from steps (..., B)."""
    whole = np.concatenate((start_at[..., None], steps), axis=-1)
    return np.asarray(np.add.accumulate(whole, axis=-1))

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
    Floats,
    Tests,
    bounds,
    control_variate,
    latch,
    log_mix,
    payoffs,
    to_evidence,
)
from learnops.domain.evidence.checks import check
from learnops.domain.evidence.types import Evidence, Observations, TestPlan

BLOCK_RUNS = 10
STAKES = FRACTION_COUNT + 1
"""Six fixed fractions and the adaptive bet."""

STAKE_WEIGHTS: Floats = np.append(FRACTION_WEIGHTS / 2.0, 0.5)

_SLAB_BLOCKS = 256
"""Blocks worked on at once: keeps the arrays in the processor's cache on a long log."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EngineState:
    """Everything that later blocks need of the earlier ones, for H tests.

    Attributes:
        plan: the plan it belongs to.
        watermark: seq of the last run of the last judged block; read the log after it.
        blocks: judged blocks.
        arm_sums: (4,), candidate runs and loss sum, control runs and loss sum.
        payoff_sums: (2, H), sum of g and of g^2.
        logs: (7, H), log of the product of factors per stake.
        crossed: (H,), seq of the block end of the first crossing, 0 = none.
    """

    plan: TestPlan
    tests: Tests
    watermark: int
    blocks: int
    arm_sums: Floats
    payoff_sums: Floats
    logs: Floats
    crossed: NDArray[np.int64]

    def evidence(self) -> Evidence:
        return to_evidence(
            self.plan,
            self.tests,
            log_e=log_mix(self.logs[..., None], STAKE_WEIGHTS)[:, 0],
            crossed=self.crossed,
            arm_sums=self.arm_sums,
            blocks=self.blocks,
            watermark=self.watermark,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            **codec.head(method="Anytime", plan=self.plan),
            "watermark": self.watermark,
            "blocks": self.blocks,
            "armSums": self.arm_sums.tolist(),
            "payoffSums": self.payoff_sums.tolist(),
            "logs": self.logs.tolist(),
            "crossed": self.crossed.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, plan: TestPlan) -> Self:
        """Read a saved state.

        Raises:
            EvidenceError: StateVersion, PlanChanged or StateInvalid; start again from the log.
        """
        codec.check_head(data, method="Anytime", plan=plan)
        tests = Tests.of(plan)
        return cls(
            plan=plan,
            tests=tests,
            watermark=codec.whole(data, "watermark"),
            blocks=codec.whole(data, "blocks"),
            arm_sums=codec.floats(data, "armSums", shape=(4,)),
            payoff_sums=codec.floats(data, "payoffSums", shape=(2, len(tests))),
            logs=codec.floats(data, "logs", shape=(STAKES, len(tests))),
            crossed=codec.positions(data, "crossed", shape=(len(tests),)),
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
        arm_sums=np.zeros(4),
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
    check(observations, after=state.watermark)
    complete = len(observations) - len(observations) % BLOCK_RUNS
    for first in range(0, complete, _SLAB_BLOCKS * BLOCK_RUNS):
        last = min(first + _SLAB_BLOCKS * BLOCK_RUNS, complete)
        state = _advance_blocks(state, _Blocks.of(observations, first, last))
    return state


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Blocks:
    """B whole blocks as (10, B) columns, row i the i-th run of each; a void run has live = 0."""

    candidate: Floats
    propensity: Floats
    loss: Floats
    live: Floats | None

    @classmethod
    def of(cls, observations: Observations, first: int, last: int) -> Self:
        rows = slice(first, last)
        propensity, loss = observations.propensity[rows], observations.loss[rows]
        live: Floats | None = None
        if observations.void is not None and observations.void[rows].any():
            void = observations.void[rows]
            # A void run may carry anything; neutral values keep NaN out of the arithmetic.
            propensity, loss = np.where(void, 0.5, propensity), np.where(void, 0.0, loss)
            live = _by_position(~void)
        return cls(
            candidate=_by_position(observations.is_candidate[rows]),
            propensity=_by_position(propensity),
            loss=_by_position(loss),
            live=live,
        )


def _by_position(column: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(column.reshape(-1, BLOCK_RUNS).T, dtype=np.float64)


def _advance_blocks(state: EngineState, blocks: _Blocks) -> EngineState:
    arm_sums = _running(state.arm_sums, np.add.reduce(_arm_steps(blocks)))
    m = control_variate(arm_sums=arm_sums[:, :-1], propensity=blocks.propensity)
    g, b = _bets(state.tests, blocks, m=m)
    payoff_sums = _running(state.payoff_sums, np.add.reduce(_payoff_steps(g)))
    stake = adaptive_bet(payoff_sums[..., :-1], propensity=blocks.propensity, bound=b)
    logs = _running(state.logs, _log_products(g=g, b=b, stake=stake))
    count = blocks.loss.shape[1]
    ends = range(state.watermark + BLOCK_RUNS, state.watermark + count * BLOCK_RUNS + 1, BLOCK_RUNS)
    log_e = log_mix(logs[..., 1:], STAKE_WEIGHTS)
    return EngineState(
        plan=state.plan,
        tests=state.tests,
        watermark=ends[-1],
        blocks=state.blocks + count,
        arm_sums=arm_sums[..., -1].copy(),
        payoff_sums=payoff_sums[..., -1].copy(),
        logs=logs[..., -1].copy(),
        crossed=latch(state.crossed, log_e=log_e, tests=state.tests, positions=ends),
    )


def _arm_steps(blocks: _Blocks) -> Floats:
    """What each run adds to the arm sums, shape (10, 4, B)."""
    steps = np.empty((BLOCK_RUNS, 4, blocks.loss.shape[1]))
    steps[:, 0] = blocks.candidate
    steps[:, 2] = 1.0 - blocks.candidate
    if blocks.live is not None:
        steps[:, 0::2] *= blocks.live[:, None]
    np.multiply(steps[:, 0::2], blocks.loss[:, None], out=steps[:, 1::2])
    return steps


def _bets(tests: Tests, blocks: _Blocks, *, m: Floats) -> tuple[Floats, Floats]:
    """g and b of each test and run, shape (10, H, B); g of a void run is 0, so its factor is 1."""
    other = 1.0 - blocks.propensity
    b = bounds(tests, m=m, propensity=blocks.propensity, other=other)
    centred = blocks.loss - m
    xi = np.where(blocks.candidate > 0.0, centred / blocks.propensity, -centred / other)
    g = payoffs(tests, xi)
    return (g if blocks.live is None else g * blocks.live[:, None]), b


def _payoff_steps(g: Floats) -> Floats:
    """g and g^2 of each run, shape (10, 2, H, B)."""
    steps = np.empty((len(g), 2, *g.shape[1:]))
    steps[:, 0] = g
    np.multiply(g, g, out=steps[:, 1])
    return steps


def adaptive_bet(payoff_sums: Floats, *, propensity: Floats, bound: Floats) -> Floats:
    """lambda, capped at 0.8/b, shape (..., H, B).

    Args:
        payoff_sums: sums of g and of g^2 over earlier blocks, shape (2, H, B).
        propensity: shape (..., B).
        bound: b, shape (..., H, B).
    """
    total, squares = payoff_sums
    prior = 4.0 / (propensity * (1.0 - propensity))
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

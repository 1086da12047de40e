"""``Anytime``: the exact betting e-process on the run log (decisions.md, the default method).

Ten consecutive registrations make a block, whatever their propensity. Sums are frozen at the
start of a block; m, b and the adaptive bet follow from them and the run's own propensity; tests are
judged at block ends only and an incomplete tail is not judged. So every e-value is a pure function
of the log:

    e = 1/2 sum_j w_j prod(1 + c_j g/b) + 1/2 prod(1 + lambda g)
    lambda = min(max(2 + sum g, 0) / (4/(pi(1-pi)) + sum g^2), 0.8/b)

with the sums over earlier blocks. P(e ever >= 1/level) <= level under the null hypothesis (Ville).

Bit for bit: all running sums and products are sequential accumulations along the log, and a block
is never split, so going on from a saved state gives exactly what reading the log from its start
gives.
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
            log_e=log_mix(self.logs, STAKE_WEIGHTS),
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
    """B whole blocks as (B, 10) columns; a void run has live = 0."""

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
            live = (~void).astype(np.float64).reshape(-1, BLOCK_RUNS)
        return cls(
            candidate=observations.is_candidate[rows].astype(np.float64).reshape(-1, BLOCK_RUNS),
            propensity=propensity.reshape(-1, BLOCK_RUNS),
            loss=loss.reshape(-1, BLOCK_RUNS),
            live=live,
        )


def _advance_blocks(state: EngineState, blocks: _Blocks) -> EngineState:
    arm_sums = _running(state.arm_sums, _arm_steps(blocks))
    m = control_variate(arm_sums=arm_sums[:, :-1, None], propensity=blocks.propensity)
    g, b = _bets(state.tests, blocks, m=m)
    payoff_sums = _running(state.payoff_sums, np.stack((g, g * g)))
    stake = adaptive_bet(payoff_sums[..., :-1, None], propensity=blocks.propensity, bound=b)
    logs = _log_products(state.logs, g=g, b=b, stake=stake)
    count = len(blocks.loss)
    ends = range(state.watermark + BLOCK_RUNS, state.watermark + count * BLOCK_RUNS + 1, BLOCK_RUNS)
    log_e = log_mix(logs[..., 1:], STAKE_WEIGHTS)
    return EngineState(
        plan=state.plan,
        tests=state.tests,
        watermark=ends[-1],
        blocks=state.blocks + count,
        arm_sums=arm_sums[:, -1].copy(),
        payoff_sums=payoff_sums[..., -1].copy(),
        logs=logs[..., -1].copy(),
        crossed=latch(state.crossed, log_e=log_e, tests=state.tests, positions=ends),
    )


def _arm_steps(blocks: _Blocks) -> Floats:
    """What each run adds to the arm sums, shape (4, B, 10)."""
    live = 1.0 if blocks.live is None else blocks.live
    candidate, control = blocks.candidate * live, (1.0 - blocks.candidate) * live
    return np.stack((candidate, candidate * blocks.loss, control, control * blocks.loss))


def _bets(tests: Tests, blocks: _Blocks, *, m: Floats) -> tuple[Floats, Floats]:
    """g and b of each test and run, shape (H, B, 10); g of a void run is 0, so its factor is 1."""
    other = 1.0 - blocks.propensity
    b = bounds(tests, m=m, propensity=blocks.propensity, other=other)
    centred = blocks.loss - m
    xi = np.where(blocks.candidate > 0.0, centred / blocks.propensity, -centred / other)
    g = payoffs(tests, xi)
    return (g if blocks.live is None else g * blocks.live), b


def adaptive_bet(payoff_sums: Floats, *, propensity: Floats, bound: Floats) -> Floats:
    """lambda from the sums of g and g^2 over earlier blocks, shape (2, ...), capped at 0.8/b."""
    total, squares = payoff_sums
    prior = 4.0 / (propensity * (1.0 - propensity))
    return np.minimum(np.maximum(2.0 + total, 0.0) / (prior + squares), 0.8 / bound)


def _log_products(logs: Floats, *, g: Floats, b: Floats, stake: Floats) -> Floats:
    """Running log products at block ends, shape (7, H, B + 1), the first being ``logs``.

    One logarithm a block: a factor lies between 0.05 and about 1/MIN_PROPENSITY, so the product of
    ten neither underflows nor overflows.
    """
    factors = np.empty((STAKES, *g.shape))
    np.multiply(FRACTIONS[:, None, None, None], g / b, out=factors[:-1])
    np.multiply(stake, g, out=factors[-1])
    factors += 1.0
    steps = np.log(np.multiply.accumulate(factors, axis=-1)[..., -1])
    whole = np.add.accumulate(np.concatenate((logs[..., None], steps), axis=-1), axis=-1)
    return np.asarray(whole)


def _running(start_at: Floats, steps: Floats) -> Floats:
    """Sums before each block and after the last, shape (..., B + 1), from steps (..., B, 10)."""
    flat = steps.reshape(*steps.shape[:-2], -1)
    whole = np.add.accumulate(np.concatenate((start_at[..., None], flat), axis=-1), axis=-1)
    return np.asarray(whole[..., ::BLOCK_RUNS])

"""The shadow test: candidate and control on the same input, told by their paired differences.

A pair gives d = candidate's loss - control's, in [-1, 1]; nothing is drawn, so no propensity enters
and (d + 1)/2 in [0, 1] has mean 1/2 where the two are equal. Two bets against "mean d <= h" have
g = d - h >= -b with b = 1 + h, against "mean d >= h" g = h - d >= -b with b = 1 - h:

    e = 1/2 sum_j w_j prod(1 + c_j g/b) + 1/2 prod(1 + lambda g),
    lambda = min(max(2 + sum g, 0) / (4 + sum g^2), 0.8/b), sums over earlier pairs

Each factor has mean <= 1 under its null hypothesis given the pairs before, so P(e ever >= 1/level)
<= level at every look (Ville). Fractions and weights are those of ``betting``; 4 is four times the
greatest second moment of d, as 4/(pi(1-pi)) is of the scores there. Sources: Waudby-Smith and
Ramdas (arXiv 2010.09686). Every pair is a step of its own: no arm means enter, so there is nothing
to freeze over a block.
"""

from dataclasses import asdict, dataclass, replace
from math import log
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import codec
from learnops.domain.evidence.betting import FRACTION_WEIGHTS, FRACTIONS, log_mix
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.hypotheses import Floats
from learnops.domain.evidence.levels import INTERVAL_LEVEL, INTERVAL_MARGINS
from learnops.domain.evidence.standing import Difference, Standing

_SIGN: Floats = np.array([1.0] * (1 + len(INTERVAL_MARGINS)) + [-1.0] * len(INTERVAL_MARGINS))
_HARM, _LOW = 0, slice(1, 1 + len(INTERVAL_MARGINS))
_HIGH = slice(_LOW.stop, len(_SIGN))
_SIGN.flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """The test of one shadow stage.

    Attributes:
        level: error level of showing harm, above 0 and below 1.
        tolerance: how much worse a candidate may be, in loss, 0 or more and below 1.
        min_pairs: pairs at which the stage is passed unless harm was shown.
    """

    level: float = 0.05
    tolerance: float = 0.0
    min_pairs: int = 50

    def __post_init__(self) -> None:
        if not 0.0 < self.level < 1.0:
            raise _invalid_plan(f"level is {self.level}; use a level above 0 and below 1")
        if not 0.0 <= self.tolerance < 1.0:
            raise _invalid_plan(f"tolerance is {self.tolerance}; use 0 or more and less than 1")
        if self.min_pairs < 1:
            raise _invalid_plan(f"min_pairs is {self.min_pairs}; use 1 or more")

    def to_dict(self) -> dict[str, Any]:
        """As saved beside a state."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowEvidence:
    """What the pairs say.

    Attributes:
        harm: the test of "not worse than the tolerance"; ``crossed_at`` is a pair's seq.
        difference: the running confidence sequence of the mean of d; None without a pair.
        pairs: how many were read.
        candidate_loss, control_loss: mean losses, None without a pair.
    """

    harm: Standing
    difference: Difference | None
    pairs: int
    candidate_loss: float | None
    control_loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShadowState:
    """All that the pairs up to ``watermark`` leave behind; H tests (harm, 21 low, 21 high).

    Attributes:
        watermark: seq of the last pair, 0 before the first.
        loss_sums: (2,), candidate's and control's.
        logs: (7, H), log of each product: six fixed fractions, then the adaptive bet.
        moments: (2, H), sum of g and of its square.
        crossed: (H,), seq at which the threshold was first reached, 0: not yet.
    """

    plan: ShadowPlan
    watermark: int
    loss_sums: Floats
    logs: Floats
    moments: Floats
    crossed: NDArray[np.int64]

    def evidence(self) -> ShadowEvidence:
        """As of the last pair."""
        pairs = self.watermark
        means = [float(it) / pairs for it in self.loss_sums] if pairs else [None, None]
        return ShadowEvidence(
            harm=Standing(
                log_e=float(_log_e(self.logs[:, :, None])[_HARM, 0]),
                log_threshold=-log(self.plan.level),
                crossed_at=int(self.crossed[_HARM]) or None,
                margin=self.plan.tolerance,
            ),
            difference=self._difference(),
            pairs=pairs,
            candidate_loss=means[0],
            control_loss=means[1],
        )

    def _difference(self) -> Difference | None:
        if not self.watermark:
            return None
        margins = np.asarray(INTERVAL_MARGINS)
        low = float(np.max(margins[self.crossed[_LOW] > 0], initial=-1.0))
        high = float(np.min(margins[self.crossed[_HIGH] > 0], initial=1.0))
        mean = float(self.loss_sums[0] - self.loss_sums[1]) / self.watermark
        return Difference(estimate=min(max(mean, low), high), low=low, high=high)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; floats come back bit for bit."""
        return {
            **codec.head(method="Shadow", plan=self.plan),
            "watermark": self.watermark,
            "lossSums": self.loss_sums.tolist(),
            "logs": codec.pack(self.logs),
            "moments": codec.pack(self.moments),
            "crossed": self.crossed.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, plan: ShadowPlan) -> Self:
        """Read a saved state. Raises EvidenceError: StateVersion, PlanChanged or StateInvalid."""
        codec.check_head(data, method="Shadow", plan=plan)
        tests = len(_SIGN)
        return cls(
            plan=plan,
            watermark=codec.whole(data, "watermark"),
            loss_sums=codec.floats(data, "lossSums", shape=(2,)),
            logs=codec.packed(data, "logs", shape=(len(FRACTIONS) + 1, tests)),
            moments=codec.packed(data, "moments", shape=(2, tests)),
            crossed=codec.positions(data, "crossed", shape=(tests,)),
        )


def start(plan: ShadowPlan) -> ShadowState:
    """The state before the first pair: every e-value is 1."""
    tests = len(_SIGN)
    return ShadowState(
        plan=plan,
        watermark=0,
        loss_sums=np.zeros(2),
        logs=np.zeros((len(FRACTIONS) + 1, tests)),
        moments=np.zeros((2, tests)),
        crossed=np.zeros(tests, dtype=np.int64),
    )


def advance(
    state: ShadowState, *, seq: NDArray[np.int64], candidate: Floats, control: Floats
) -> ShadowState:
    """Take in the resolved pairs after the watermark, in the order of their numbers.

    Args:
        seq: (n,), the numbers after the watermark without a gap.
        candidate, control: (n,), losses in [0, 1].

    Raises:
        EvidenceError: LossNotFinite, LossOutOfRange or SequenceGap; no pair of them counts then.
    """
    if not len(seq):
        return state
    _check(state, seq, candidate, control)
    margins = np.array([state.plan.tolerance, *2 * INTERVAL_MARGINS])
    b = (1.0 + _SIGN * margins)[:, None]
    g = _SIGN[:, None] * (candidate - control - margins[:, None])
    before, moments = _moments(state.moments, g)
    bets = np.minimum(np.maximum(2.0 + before[0], 0.0) / (4.0 + before[1]), 0.8 / b)
    factors = np.concatenate([1.0 + FRACTIONS[:, None, None] * (g / b), (1.0 + bets * g)[None]])
    logs = _running(state.logs, np.log(factors))
    return replace(
        state,
        watermark=int(seq[-1]),
        loss_sums=_running(state.loss_sums, np.stack([candidate, control]))[:, -1],
        logs=logs[:, :, -1],
        moments=moments,
        crossed=_latched(state, _log_e(logs), seq),
    )


def _moments(before: Floats, g: Floats) -> tuple[Floats, Floats]:
    """Sums over the pairs before each one, (2, H, n), and after the last."""
    with_each = _running(before, np.stack([g, g * g]))
    earlier = np.concatenate([before[:, :, None], with_each[:, :, :-1]], axis=2)
    return earlier, with_each[:, :, -1]


def _running(before: Floats, added: Floats) -> Floats:
    """Running sums over the last axis from ``before`` on, each term added after the one before:
    the same bits however the pairs are cut into pieces."""
    whole = np.concatenate([before[..., None], added], axis=-1)
    return np.add.accumulate(whole, axis=-1)[..., 1:]


def _log_e(logs: Floats) -> Floats:
    """(H, n) from the logs of the seven products (7, H, n)."""
    fixed = log_mix(logs[:-1], FRACTION_WEIGHTS)
    return np.asarray(np.logaddexp(fixed, logs[-1]) - log(2.0))


def _latched(state: ShadowState, log_e: Floats, seq: NDArray[np.int64]) -> NDArray[np.int64]:
    levels = np.full(len(_SIGN), INTERVAL_LEVEL / 2)
    levels[_HARM] = state.plan.level
    reached = log_e >= -np.log(levels)[:, None]
    first = seq[reached.argmax(axis=1)]
    return np.where((state.crossed == 0) & reached.any(axis=1), first, state.crossed)


def _check(state: ShadowState, seq: NDArray[np.int64], candidate: Floats, control: Floats) -> None:
    expected = np.arange(state.watermark + 1, state.watermark + 1 + len(seq))
    if not np.array_equal(seq, expected):
        raise EvidenceError(
            reason=EvidenceReason.SEQUENCE_GAP,
            detail=f"pairs after seq {state.watermark} must rise by one without a gap",
        )
    for name, losses in (("candidate", candidate), ("control", control)):
        bad = ~((losses >= 0.0) & (losses <= 1.0))
        if bad.any():
            at = int(bad.argmax())
            finite = bool(np.isfinite(losses[at]))
            raise EvidenceError(
                reason=EvidenceReason.LOSS_OUT_OF_RANGE
                if finite
                else EvidenceReason.LOSS_NOT_FINITE,
                detail=f"pair seq {int(seq[at])}: {name}'s loss is {float(losses[at])}; "
                "a loss is a number from 0 to 1",
            )


def _invalid_plan(detail: str) -> EvidenceError:
    return EvidenceError(reason=EvidenceReason.INVALID_PLAN, detail=detail)

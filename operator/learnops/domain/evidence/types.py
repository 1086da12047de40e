"""What the evidence methods read: runs as columns, and the tests that are to be made."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.levels import RAMP_LEVEL, ramp_margin

ENGINE_VERSION = 1
"""Rises when the same log would give another e-value; states of another version are recomputed."""

MAX_RAMP_TESTS = 32
MAX_GUARDRAILS = 16
MAX_CANDIDATES = 8
LOSS = "loss"
"""Names the loss itself where a guardrail could be the culprit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observations:
    """A stretch of the resolved prefix of one canary, in registration order, as columns of n runs.

    Attributes:
        seq: int64, the canary's registration number; gapless and rising by one.
        is_candidate: bool, True where the candidate was drawn.
        propensity: float64, the probability (0..1) with which the *candidate* was drawn.
        loss: float64 in [0, 1].
        void: bool, a registration that was withdrawn; factor 1, in no sum. None: none was.
        terms: float64 (n, G), the guardrails' terms in the order of the plan. None: the plan has
            none.
        is_other: bool, True where neither this candidate nor control was drawn (A/B/n): the run has
            xi = 0 and stands in no arm sum. None: none was.
        control_propensity: float64, the probability of control where it is not 1 - propensity
            (A/B/n). None: it is.
    """

    seq: NDArray[np.int64]
    is_candidate: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    loss: NDArray[np.float64]
    void: NDArray[np.bool_] | None = None
    terms: NDArray[np.float64] | None = None
    is_other: NDArray[np.bool_] | None = None
    control_propensity: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        *,
        seq: Sequence[int],
        is_candidate: Sequence[bool],
        propensity: Sequence[float | None],
        loss: Sequence[float | None],
        void: Sequence[bool],
    ) -> Self:
        """From the rows of a query; None becomes NaN, which the engine refuses by name."""
        return cls(
            seq=np.asarray(seq, dtype=np.int64),
            is_candidate=np.asarray(is_candidate, dtype=np.bool_),
            propensity=np.asarray(propensity, dtype=np.float64),
            loss=np.asarray(loss, dtype=np.float64),
            void=np.asarray(void, dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class RampTest:
    """The test that allows leaving ``share_percent``: reject "worse by ``margin`` or more"."""

    share_percent: float
    margin: float
    level: float = RAMP_LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class FutilityTest:
    """Ends a canary in vain: reject "better by at least ``min_improvement``"."""

    min_improvement: float
    level: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailTest:
    """A term that must not get worse.

    Attributes:
        term: its name; the column of ``Observations.terms`` follows the order of the plan.
        tolerance: it speaks for roll-back where "not worse by more than this" is doubtful.
        margin: promotion needs "worse by this or more" to be rejected.
    """

    term: str
    tolerance: float = 0.0
    margin: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPlan:
    """The tests of one analysis generation; a changed plan starts again at e = 1.

    Attributes:
        promote_level: error level of promotion over all attempts; attempt k gets its share.
        margin: promote when "worse by ``margin`` or more" is rejected (0: shown better).
        rollback_level: error level of roll-back.
        tolerance: roll back when "not worse by more than ``tolerance``" is rejected.
        attempt: which try of this candidate identity, from 1.
        ramp: the tests of evidence-gated steps; empty with a timed ramp.
        futility: None: a canary is never ended as futile.
        guardrails: terms that are tested beside the loss.
        candidates: K of an A/B/n canary; each candidate is tested at level/K.
        interval: whether the confidence sequence of the difference is kept too; it decides nothing
            and costs 42 more tests a block.
        horizon: the number of runs at which one test looks once; None: tests that look always.
    """

    promote_level: float = 0.05
    margin: float = 0.0
    rollback_level: float = 0.05
    tolerance: float = 0.0
    attempt: int = 1
    ramp: tuple[RampTest, ...] = ()
    futility: FutilityTest | None = None
    guardrails: tuple[GuardrailTest, ...] = ()
    candidates: int = 1
    interval: bool = False
    horizon: int | None = None

    def __post_init__(self) -> None:
        levels = {"promote_level": self.promote_level, "rollback_level": self.rollback_level}
        margins = {"margin": self.margin, "tolerance": self.tolerance}
        for test in self.ramp:
            levels[f"ramp[{test.share_percent}].level"] = test.level
            margins[f"ramp[{test.share_percent}].margin"] = test.margin
        for guardrail in self.guardrails:
            margins[f"guardrails[{guardrail.term}].tolerance"] = guardrail.tolerance
            margins[f"guardrails[{guardrail.term}].margin"] = guardrail.margin
        if self.futility is not None:
            levels["futility.level"] = self.futility.level
            margins["futility.min_improvement"] = self.futility.min_improvement
        for name, level in levels.items():
            _require(0.0 < level < 1.0, f"{name} is {level}; use a level above 0 and below 1")
        for name, margin in margins.items():
            _require(0.0 <= margin < 1.0, f"{name} is {margin}; use 0 or more and less than 1")
        self._require_sizes()

    def _require_sizes(self) -> None:
        _require(self.horizon is None or self.horizon >= 4, "horizon is under 4 runs")
        _require(self.attempt >= 1, f"attempt is {self.attempt}; the first attempt is 1")
        _require(len(self.ramp) <= MAX_RAMP_TESTS, f"ramp has over {MAX_RAMP_TESTS} steps")
        shares = [test.share_percent for test in self.ramp]
        _require(len(set(shares)) == len(shares), "ramp names a share twice; name each once")
        terms = [guardrail.term for guardrail in self.guardrails]
        _require(len(terms) <= MAX_GUARDRAILS, f"guardrails has over {MAX_GUARDRAILS} terms")
        _require(len(set(terms)) == len(terms), "guardrails names a term twice; name each once")
        _require(LOSS not in terms, f"guardrails names {LOSS}, which is tested anyway")
        _require(
            1 <= self.candidates <= MAX_CANDIDATES,
            f"candidates is {self.candidates}; use 1 to {MAX_CANDIDATES}",
        )
        # A candidate that may be worse by the margin would be futile before it is good enough.
        _require(
            self.futility is None or self.margin == 0.0,
            "futility goes with margin 0 only; leave one of them out",
        )

    @classmethod
    def for_canary(
        cls,
        *,
        promote_level: float,
        margin: float,
        rollback_level: float,
        tolerance: float | None,
        attempt: int,
        gated_shares: tuple[float, ...] = (),
        futility: FutilityTest | None = None,
        guardrails: tuple[GuardrailTest, ...] = (),
        candidates: int = 1,
        interval: bool = False,
        horizon: int | None = None,
    ) -> Self:
        """The plan of a canary: an absent tolerance equals the margin; margins follow the shares.

        ``gated_shares`` are the shares (percent) that are left on evidence; empty: timed ramp.
        """
        ramp = tuple(RampTest(share_percent=s, margin=ramp_margin(s)) for s in gated_shares)
        return cls(
            promote_level=promote_level,
            margin=margin,
            rollback_level=rollback_level,
            tolerance=margin if tolerance is None else tolerance,
            attempt=attempt,
            ramp=ramp,
            futility=futility,
            guardrails=guardrails,
            candidates=candidates,
            interval=interval,
            horizon=horizon,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; equal plans give equal dicts."""
        return asdict(self) | {
            "ramp": [asdict(test) for test in self.ramp],
            "guardrails": [asdict(test) for test in self.guardrails],
        }


def _require(condition: bool, detail: str) -> None:
    if not condition:
        raise EvidenceError(reason=EvidenceReason.INVALID_PLAN, detail=detail)

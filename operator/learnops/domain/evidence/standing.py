"""What every evidence method answers: where each test stands.

The planner sees ``TestPlan`` and ``Evidence`` only, so it never knows which method (the run log or
Prometheus counters) produced the numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

from learnops.domain.evidence.errors import EvidenceError, EvidenceReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one test stands at the last judged position.

    Attributes:
        log_e: natural logarithm of the e-value.
        log_threshold: log(1/level); the test decides where ``log_e`` first reaches it.
        crossed_at: position of that first crossing, latched; None: not crossed.
            A position is the ``seq`` of the end of the block (run log) or the number of runs
            absorbed (counters).
        margin: the difference of losses that the test sets itself against.
    """

    log_e: float
    log_threshold: float
    crossed_at: int | None
    margin: float

    @property
    def crossed(self) -> bool:
        return self.crossed_at is not None

    @property
    def e_value(self) -> float:
        """The e-value itself, infinite only where a float cannot hold it."""
        return exp(self.log_e) if self.log_e < 709.0 else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The running confidence sequence of Delta = mean loss of candidate - of control.

    ``low`` and ``high`` hold Delta with 95 % probability at every look together; -1 and 1 where
    nothing is excluded yet. ``estimate`` (the inverse-propensity mean, clipped to them) is never
    shown without them.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailEvidence:
    """Where one guardrail stands.

    Attributes:
        term: its name.
        rollback: its own e-process for "worse than tolerance"; it decides only as a part of the
            weighted mean in ``Evidence.rollback``.
        promote: "worse by margin or more" rejected: non-inferior.
        candidate_mean, control_mean: mean of the term per arm; None without a run.
    """

    term: str
    rollback: Standing
    promote: Standing
    candidate_mean: float | None
    control_mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PValues:
    """Of the one look of a test with a horizon.

    Attributes:
        promote: of "the candidate is worse by the margin or more".
        rollback: of "the candidate is not worse by more than the tolerance".
    """

    promote: float
    rollback: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the log says so far. Whoever reads it cannot tell the method.

    Attributes:
        promote, rollback: the two main tests.
        ramp: for each share in percent that is left on evidence, its test.
        runs, candidate_runs, control_runs: runs that are in the evidence (void ones are not).
        all_runs: with those of the other candidates of A/B/n; what `maxRuns` bounds.
        candidate_loss, control_loss: mean loss per arm over these; None without a run.
            For display only: shares change during a ramp, so their difference is no estimate.
        blocks: how many blocks (run log) or increments (counters) were judged.
        watermark: the last position that was judged.
        futility: None where the plan has no futility test.
        guardrails: in the order of the plan. With guardrails ``rollback`` is the weighted mean of
            their e-values and that of the loss, and the only roll-back test.
        culprit: what tells most for roll-back where ``rollback`` crossed: "loss" or a term. None
            while it has not.
        difference: None before the first judged block, and where the method has none.
        p_values: only of a test with a horizon, from its look on.
    """

    promote: Standing
    rollback: Standing
    ramp: Mapping[float, Standing]
    runs: int
    candidate_runs: int
    control_runs: int
    all_runs: int
    candidate_loss: float | None
    control_loss: float | None
    blocks: int
    watermark: int
    futility: Standing | None = None
    guardrails: tuple[GuardrailEvidence, ...] = ()
    culprit: str | None = None
    difference: Difference | None = None
    p_values: PValues | None = None

    @property
    def better(self) -> bool:
        """Whether every test that promotion needs decided, those of the guardrails too."""
        return self.promote.crossed and all(it.promote.crossed for it in self.guardrails)

    def may_leave(self, share_percent: float) -> bool:
        """Whether the evidence allows a step up from ``share_percent`` (latched)."""
        if share_percent not in self.ramp:
            raise EvidenceError(
                reason=EvidenceReason.INVALID_PLAN,
                detail=f"no ramp test for a share of {share_percent} %; add it to the plan",
            )
        return self.ramp[share_percent].crossed

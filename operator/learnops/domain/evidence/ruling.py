"""The rules by which evidence becomes a verdict, in their order. There is no second writing of it:
the operator's planner, `learnops evaluate`, replays and forecasts all ask `ruling`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from learnops.api.canary import Verdict
from learnops.api.guardrails import on_terms
from learnops.api.rollout import Analysis, OnInconclusive
from learnops.domain.evidence.standing import Evidence


class Reason(StrEnum):
    """Which rule spoke, in the word that status and Events have for it."""

    GUARDRAIL_BREACHED = "GuardrailBreached"
    WORSE = "Worse"
    FUTILE = "Futile"
    SAMPLE_RATIO_MISMATCH = "SampleRatioMismatch"
    BETTER = "Better"
    NO_VERDICT = "NoVerdict"
    INCONCLUSIVE = "Inconclusive"
    PROGRESSING = "Progressing"

    @property
    def verdict(self) -> Verdict:
        """What it means for the candidate. NoVerdict ends a canary and still decides nothing."""
        return _VERDICTS.get(self, Verdict.HOLD)

    @property
    def ends(self) -> bool:
        """Whether the canary is over with it, for this candidate; a hold may pass."""
        return self in _ENDS


_VERDICTS = {
    Reason.GUARDRAIL_BREACHED: Verdict.ROLLBACK,
    Reason.WORSE: Verdict.ROLLBACK,
    Reason.FUTILE: Verdict.FUTILE,
    Reason.BETTER: Verdict.PROMOTE,
    Reason.PROGRESSING: Verdict.CONTINUE,
}
_ENDS = frozenset(_VERDICTS) - {Reason.PROGRESSING} | {Reason.NO_VERDICT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What else of `spec.analysis` bears on the verdict.

    Attributes:
        max_runs: of all arms together, void ones left out.
        breaches: per guardrail, how many candidate runs may have its term above the tolerance;
            None: any number.
        on_inconclusive: what follows at `max_runs`.
    """

    min_candidate_runs: int
    max_runs: int
    breaches: tuple[int | None, ...] = ()
    on_inconclusive: OnInconclusive = OnInconclusive.ROLLBACK

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """Those of a canary."""
        return cls(
            min_candidate_runs=analysis.min_candidate_runs,
            max_runs=analysis.max_runs,
            breaches=tuple(it.borne for it in on_terms(analysis.guardrails)),
            on_inconclusive=analysis.on_inconclusive,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the evidence shows of one candidate against control.

    Attributes:
        breached: a guardrail has one breach too many.
        worse, futile: these tests decided; `worse_at` and `futile_at` are the runs at which, None
            where only the status remembers it.
        mismatch: the split is not as planned, as it is now.
        better: the tests that promotion needs decided, those of the guardrails too.
        current: every run that should be resolved by now is in it; so it is in a log that ended.
        candidate_runs: of the candidate.
        all_runs: of all arms, those of other candidates too; void ones are in neither.
    """

    breached: bool
    worse: bool
    futile: bool
    mismatch: bool
    better: bool
    candidate_runs: int
    all_runs: int
    worse_at: int | None = None
    futile_at: int | None = None
    current: bool = True

    @classmethod
    def of(cls, evidence: Evidence, *, breached: bool = False, mismatch: bool = False) -> Self:
        """At the engine's result."""
        futility = evidence.futility
        return cls(
            breached=breached,
            worse=evidence.rollback.crossed,
            worse_at=evidence.rollback.crossed_at,
            futile=futility is not None and futility.crossed,
            futile_at=None if futility is None else futility.crossed_at,
            mismatch=mismatch,
            better=evidence.better,
            candidate_runs=evidence.candidate_runs,
            all_runs=evidence.all_runs,
        )

    @property
    def futile_first(self) -> bool:
        """Where one look finds both crossings, the earlier block decides, a tie rolls back: the
        verdict must not depend on how often it was looked at."""
        if not self.futile or not self.worse:
            return self.futile
        if self.futile_at is None or self.worse_at is None:
            return False
        return self.futile_at < self.worse_at


def ruling(look: Look, limits: Limits) -> Reason:
    """The first rule that holds. What takes traffic away comes before every check of the data."""
    return next((reason for reason, holds in _RULES if holds(look, limits)), Reason.PROGRESSING)


def _shown_better(look: Look, limits: Limits) -> bool:
    return look.better and look.current and look.candidate_runs >= limits.min_candidate_runs


def _runs_out(look: Look, limits: Limits, *, then: OnInconclusive) -> bool:
    return limits.on_inconclusive is then and look.all_runs >= limits.max_runs


_RULES: tuple[tuple[Reason, Callable[[Look, Limits], bool]], ...] = (
    (Reason.GUARDRAIL_BREACHED, lambda look, _: look.breached),
    (Reason.WORSE, lambda look, _: look.worse and not look.futile_first),
    (Reason.FUTILE, lambda look, _: look.futile),
    (Reason.SAMPLE_RATIO_MISMATCH, lambda look, _: look.mismatch),
    (Reason.BETTER, _shown_better),
    (Reason.NO_VERDICT, lambda it, most: _runs_out(it, most, then=OnInconclusive.ROLLBACK)),
    (Reason.INCONCLUSIVE, lambda it, most: _runs_out(it, most, then=OnInconclusive.HOLD)),
)

"""From a canary's spec to the engine's test plan, and from its result to the planner's input."""

from collections.abc import Sequence
from math import exp

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.guardrails import on_terms
from learnops.api.rollout import Analysis, Gate, Method, Source
from learnops.domain.arms import candidates_of, served, steps_of
from learnops.domain.attempt import salt_of
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.sample_ratio import ALARM, SampleRatio
from learnops.domain.evidence.standing import Evidence, GuardrailEvidence, Standing
from learnops.domain.evidence.types import FutilityTest, GuardrailTest, TestPlan
from learnops.domain.observed import (
    DifferenceReading,
    EValue,
    EvidenceReading,
    GenerationReading,
    GuardrailReading,
    SampleRatioReading,
)
from learnops.domain.unavailable import ErrorReason, Unavailable

_REASONS = {
    EvidenceReason.COUNTER_NOT_FINITE: ErrorReason.NOT_A_NUMBER,
    EvidenceReason.SERIES_DUPLICATE: ErrorReason.AMBIGUOUS_SERIES,
}


def rollout_id(canary: CanaryDeployment) -> str:
    """The id of the present attempt in the run log; also the salt of its draws."""
    return salt_of(canary, canary.status)


def plan_of(
    canary: CanaryDeployment, *, candidate: str | None = None, attempt: int | None = None
) -> TestPlan:
    """The tests of one candidate (the first), in an attempt (the present one).

    The last step is left by promotion, so it has no gate. With K candidates each is tested at
    level/K, also after others were dropped: the level was spent on all of them.
    """
    analysis, strategy = canary.spec.analysis, canary.spec.strategy.canary
    gated = steps_of(canary)[:-1] if strategy.gate is Gate.EVIDENCE else ()
    one_look = analysis.method is Method.FIXED_HORIZON
    tolerance = analysis.rollback.tolerance
    names = candidates_of(canary)
    attempts = {it.name: it.attempt for it in canary.status.candidates}
    present = attempts.get(candidate or names[0], 1)
    return TestPlan.for_canary(
        promote_level=float(analysis.promote.level),
        margin=float(analysis.promote.margin),
        rollback_level=float(analysis.rollback.level),
        tolerance=None if tolerance is None else float(tolerance),
        attempt=present if attempt is None else attempt,
        gated_shares=tuple(float(step) for step in gated),
        futility=_futility(analysis),
        guardrails=tuple(
            GuardrailTest(term=it.term, tolerance=it.tolerance, margin=it.margin)
            for it in on_terms(analysis.guardrails)
        ),
        candidates=len(names),
        # Counters do not tell it, and one look has none.
        interval=analysis.source is Source.RUN_LOG and not one_look,
        horizon=analysis.max_runs if one_look else None,
    )


def _futility(analysis: Analysis) -> FutilityTest | None:
    test = analysis.futility
    if test is None:
        return None
    return FutilityTest(min_improvement=float(test.min_improvement), level=float(test.level))


def candidate_percent(doer: Doer, canary: CanaryDeployment, *, candidate: str) -> int:
    """The candidate's share of what is served now, in percent; 0 where nothing is."""
    traffic = doer.status.traffic
    if traffic is None or traffic.salt != rollout_id(canary):
        return 0
    return served(traffic, candidate)


def to_reading(
    evidence: Evidence,
    *,
    percent: int,
    prefix_current: bool,
    control_timeout_fraction: float | None,
    state: str | None = None,
    breaches: Sequence[int] = (),
    ratio: SampleRatio | None = None,
    generation: GenerationReading | None = None,
) -> EvidenceReading:
    """The planner's view; `percent` is the share whose ramp test matters now.

    `breaches` counts per guardrail, in the order of the plan.
    """
    ramp = evidence.ramp.get(float(percent))
    return EvidenceReading(
        promote=_e_value(evidence.promote),
        rollback=_e_value(evidence.rollback),
        ramp=None if ramp is None else _e_value(ramp),
        futility=None if evidence.futility is None else _e_value(evidence.futility),
        runs=evidence.runs,
        all_runs=evidence.all_runs,
        candidate_runs=evidence.candidate_runs,
        control_runs=evidence.control_runs,
        candidate_loss=evidence.candidate_loss,
        control_loss=evidence.control_loss,
        guardrails=tuple(
            _guardrail(it, count) for it, count in zip(evidence.guardrails, breaches, strict=True)
        ),
        culprit=evidence.culprit,
        difference=_difference(evidence),
        p_values=None
        if evidence.p_values is None
        else (evidence.p_values.promote, evidence.p_values.rollback),
        sample_ratio=None if ratio is None else _sample_ratio(ratio),
        prefix_current=prefix_current,
        control_timeout_fraction=control_timeout_fraction,
        generation=generation,
        state=state,
    )


def _guardrail(it: GuardrailEvidence, breaches: int) -> GuardrailReading:
    return GuardrailReading(
        term=it.term,
        rollback=_e_value(it.rollback),
        promote=_e_value(it.promote),
        candidate_mean=it.candidate_mean,
        control_mean=it.control_mean,
        breaches=breaches,
    )


def _sample_ratio(ratio: SampleRatio) -> SampleRatioReading:
    return SampleRatioReading(
        assigned=EValue(log_e=ratio.assigned_log_e, threshold=ALARM),
        completed=EValue(log_e=ratio.completed_log_e, threshold=ALARM),
        expected_share=ratio.expected_share,
        observed_share=ratio.observed_share,
        alarm=ratio.alarm,
    )


def _difference(evidence: Evidence) -> DifferenceReading | None:
    found = evidence.difference
    if found is None:
        return None
    return DifferenceReading(estimate=found.estimate, low=found.low, high=found.high)


def refused(error: EvidenceError, *, otherwise: ErrorReason) -> Unavailable:
    """An input that the engine refuses, as data for the planner."""
    return Unavailable(reason=_REASONS.get(error.reason, otherwise), message=error.detail)


def _e_value(standing: Standing) -> EValue:
    return EValue(
        log_e=standing.log_e,
        threshold=exp(standing.log_threshold),
        crossed_at=standing.crossed_at,
    )

"""The evidence as the status shows it: rounded, beside what it takes."""

from learnops.api.canary import EvidenceStatus, GuardrailStatus
from learnops.api.canary_figures import DifferenceStatus, SampleRatioStatus
from learnops.domain.observed import EvidenceReading, GuardrailReading, SampleRatioReading
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import decimal, e_value, fraction
from learnops.domain.planner.outlook import decision_time, figures_of


def measure(live: Live) -> None:
    """Show the evidence, rounded; keep the state of the Counters method beside it."""
    reading, status = live.reading, live.status
    if reading is None or not status.candidates:
        return
    shown = status.candidates[0].model_copy(
        update={
            "runs": reading.candidate_runs,
            "control_runs": reading.control_runs,
            "loss": fraction(reading.candidate_loss),
            "control_loss": fraction(reading.control_loss),
            "difference": _difference(reading),
            "evidence": _shown(reading),
            **figures_of(live),
        }
    )
    changes: dict[str, object] = {
        "candidates": (shown,),
        "estimated_decision_time": decision_time(live),
    }
    if reading.sample_ratio is not None:
        changes["sample_ratio"] = _sample_ratio(reading.sample_ratio)
    if reading.state is not None:
        changes["evidence_state"] = reading.state
    live.draft.set_canary(live.canary.metadata.name, **changes)


def _shown(reading: EvidenceReading) -> EvidenceStatus:
    futility = reading.futility
    return EvidenceStatus(
        promote=e_value(reading.promote),
        promote_threshold=decimal(reading.promote.threshold),
        rollback=e_value(reading.rollback),
        rollback_threshold=decimal(reading.rollback.threshold),
        promote_p_value=_p_value(reading, 0),
        rollback_p_value=_p_value(reading, 1),
        futility=None if futility is None else e_value(futility),
        futility_threshold=None if futility is None else decimal(futility.threshold),
        guardrails=tuple(_guardrail(it) for it in reading.guardrails),
        culprit=reading.culprit,
    )


def _p_value(reading: EvidenceReading, place: int) -> str | None:
    return None if reading.p_values is None else decimal(reading.p_values[place])


def _guardrail(it: GuardrailReading) -> GuardrailStatus:
    return GuardrailStatus(
        term=it.term,
        rollback=e_value(it.rollback),
        promote=e_value(it.promote),
        promote_threshold=decimal(it.promote.threshold),
        candidate_mean=fraction(it.candidate_mean),
        control_mean=fraction(it.control_mean),
        breaches=it.breaches,
    )


def _sample_ratio(ratio: SampleRatioReading) -> SampleRatioStatus:
    return SampleRatioStatus(
        assigned=e_value(ratio.assigned),
        completed=e_value(ratio.completed),
        threshold=decimal(ratio.assigned.threshold),
        expected_share=fraction(ratio.expected_share),
        observed_share=fraction(ratio.observed_share),
    )


def _difference(reading: EvidenceReading) -> DifferenceStatus | None:
    found = reading.difference
    if found is None:
        return None
    return DifferenceStatus(
        estimate=f"{found.estimate:.3f}", low=f"{found.low:.3f}", high=f"{found.high:.3f}"
    )

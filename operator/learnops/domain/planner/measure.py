"""The evidence as the status shows it: rounded, beside what it takes."""

from learnops.api.canary_figures import (
    DifferenceStatus,
    EvidenceStatus,
    GuardrailStatus,
    SampleRatioStatus,
)
from learnops.domain.observed import EvidenceReading, GuardrailReading, SampleRatioReading
from learnops.domain.planner.live import Live
from learnops.domain.planner.numbers import decimal, e_value, fraction
from learnops.domain.planner.outlook import decision_time, figures_of, slowest


def measure(lives: tuple[Live, ...]) -> None:
    """Show the evidence, rounded; keep the state of the Counters method beside it.

    A candidate that was dropped keeps the figures on which it was.
    """
    draft, status = lives[0].draft, lives[0].status
    known = {live.candidate: (live, it) for live in lives if (it := live.reading) is not None}
    if not known or not status.candidates:
        return
    shown = tuple(
        it.model_copy(update=_figures(*known[it.name])) if it.name in known else it
        for it in status.candidates
    )
    changes: dict[str, object] = {
        "candidates": shown,
        "estimated_decision_time": decision_time(slowest(lives)),
    }
    readings = [reading for _, reading in known.values()]
    ratios = [it.sample_ratio for it in readings if it.sample_ratio is not None]
    if ratios:
        changes["sample_ratio"] = _sample_ratio(max(ratios, key=_against))
    for reading in readings:
        if reading.state is not None:
            changes["evidence_state"] = reading.state
    draft.set_canary(lives[0].canary.metadata.name, **changes)


def _against(ratio: SampleRatioReading) -> float:
    """How much tells against a split."""
    return max(ratio.assigned.log_e, ratio.completed.log_e)


def _figures(live: Live, reading: EvidenceReading) -> dict[str, object]:
    return {
        "runs": reading.candidate_runs,
        "control_runs": reading.control_runs,
        "loss": fraction(reading.candidate_loss),
        "control_loss": fraction(reading.control_loss),
        "difference": _difference(reading),
        "evidence": _shown(live, reading),
        **figures_of(live),
    }


def _shown(live: Live, reading: EvidenceReading) -> EvidenceStatus:
    futility = reading.futility
    culprit = live.breach[0].term if live.breach else reading.culprit
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
        culprit=culprit,
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

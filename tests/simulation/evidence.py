"""Readings that a story gives to a candidate."""

import math
from dataclasses import replace

from learnops.domain.observed import (
    DifferenceReading,
    DriftReading,
    EValue,
    Evidence,
    EvidenceReading,
    GenerationReading,
    GuardrailReading,
    SampleRatioReading,
    ShadowReading,
)
from learnops.domain.unavailable import ErrorReason, Unavailable

PROMETHEUS_DOWN = Unavailable(
    reason=ErrorReason.PROMETHEUS_UNAVAILABLE, message="connection refused"
)
RUN_LOG_DOWN = Unavailable(
    reason=ErrorReason.RUN_LOG_UNAVAILABLE, message="run log: connection refused"
)
RESTORED = Unavailable(
    reason=ErrorReason.RUN_LOG_RESTORED, message="run log: an older database was restored"
)
NO_SERIES = Unavailable(
    reason=ErrorReason.NO_DATA, message="Prometheus has no series of this rollout yet"
)
QUIET = DriftReading(runs=5000, baseline=0.3149)
RISEN = DriftReading(runs=5120, baseline=0.3149, alarm_at_run=5120)
_PROMOTE, _ROLLBACK, _RAMP, _FUTILITY, _RAIL = 32.9, 20.0, 5.0, 10.0, 20.0


def _value(e: float, threshold: float) -> EValue:
    crossed_at = 100 if e >= threshold else None
    return EValue(log_e=math.log(e), threshold=threshold, crossed_at=crossed_at)


def crossed_before(of: EvidenceReading) -> EvidenceReading:
    """The same after a crossing to promote, which the engine keeps while the e-value falls."""
    return replace(of, promote=replace(of.promote, crossed_at=100))


def guardrail(
    *,
    promote: float = 1.0,
    rollback: float = 1.0,
    means: tuple[float, float] = (0.05, 0.05),
    breaches: int = 0,
) -> GuardrailReading:
    """The guardrail on grounding; `means` are those of candidate and control."""
    return GuardrailReading(
        term="grounding",
        promote=_value(promote, _RAIL),
        rollback=_value(rollback, _ROLLBACK),
        candidate_mean=means[0],
        control_mean=means[1],
        breaches=breaches,
    )


def reading(
    *,
    promote: float = 1.0,
    rollback: float = 1.0,
    ramp: float = 1.0,
    runs: int = 400,
    candidate: int = 40,
    current: bool = True,
    timeouts: float | None = 0.0,
    losses: tuple[float, float] = (0.30, 0.30),
    state: str | None = None,
    futility: float | None = None,
    guardrails: tuple[GuardrailReading, ...] = (),
    culprit: str | None = None,
    all_runs: int | None = None,
) -> EvidenceReading:
    """E-values as numbers; `losses` are those of candidate and control."""
    return EvidenceReading(
        promote=_value(promote, _PROMOTE),
        rollback=_value(rollback, _ROLLBACK),
        ramp=_value(ramp, _RAMP),
        runs=runs,
        all_runs=runs if all_runs is None else all_runs,
        candidate_runs=candidate,
        control_runs=runs - candidate,
        candidate_loss=losses[0],
        control_loss=losses[1],
        prefix_current=current,
        control_timeout_fraction=timeouts,
        state=state,
        guardrails=guardrails,
        culprit=culprit,
        futility=None if futility is None else _value(futility, _FUTILITY),
    )


def of_generation(found: Evidence, generation: GenerationReading) -> Evidence:
    """As evidence of a generation; a later one is promoted at the price of its attempt."""
    if not isinstance(found, EvidenceReading) or found.generation is not None:
        return found
    found = replace(found, generation=generation)
    if generation.number == 1:
        return found
    priced = _value(math.exp(found.promote.log_e), _PROMOTE * generation.attempt**2)
    return replace(found, promote=priced)


def paired(*, harm: float, pairs: int, losses: tuple[float, float] = (0.30, 0.31)) -> ShadowReading:
    """Pairs of a shadow stage; `losses` are those of candidate and control."""
    return ShadowReading(
        harm=_value(harm, _ROLLBACK),
        pairs=pairs,
        candidate_loss=losses[0],
        control_loss=losses[1],
        difference=DifferenceReading(estimate=losses[0] - losses[1], low=-0.3, high=0.1),
    )


NOTHING_YET = reading(runs=0, candidate=0)
NOT_MUCH_WORSE = reading(ramp=6.1, promote=3.2, runs=400, candidate=41, losses=(0.26, 0.31))
BETTER = reading(promote=40.0, ramp=9.0, rollback=0.1, runs=900, candidate=300, losses=(0.24, 0.31))
BETTER_BY_FAR = reading(
    promote=400.0, ramp=90.0, rollback=0.1, runs=900, candidate=300, losses=(0.10, 0.31)
)
BETTER_BUT_UNPROVED = replace(BETTER, guardrails=(guardrail(promote=3.0),))
BETTER_AND_PROVED = replace(BETTER, guardrails=(guardrail(promote=21.0),))
BROKEN_TERM = reading(
    rollback=21.0,
    candidate=125,
    losses=(0.31, 0.31),
    guardrails=(guardrail(rollback=240.0, means=(0.15, 0.05), breaches=19),),
    culprit="grounding",
)
BREACHED = reading(guardrails=(guardrail(breaches=4),))
AT_THE_LIMIT = reading(guardrails=(guardrail(breaches=3),))
SKEWED = replace(
    BETTER,
    sample_ratio=SampleRatioReading(
        assigned=_value(150.0, 100.0),
        completed=_value(1.0, 100.0),
        expected_share=0.10,
        observed_share=0.15,
        alarm=True,
    ),
)
FUTILE = reading(futility=11.0, rollback=2.0, promote=0.1, runs=300, candidate=30)
FUTILE_WITHOUT_CONTROL = reading(futility=11.0, rollback=2.0, promote=0.1, timeouts=0.3)
WORSE = reading(rollback=26.0, ramp=0.2, promote=0.1, runs=300, candidate=24, losses=(0.52, 0.31))
SOME_PAIRS = paired(harm=0.8, pairs=20)
ENOUGH_PAIRS = paired(harm=0.4, pairs=50)
WORSE_PAIRS = paired(harm=31.0, pairs=18, losses=(0.62, 0.31))

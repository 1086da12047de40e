"""Errors of the evidence engine: bad input has a name and never becomes evidence."""

from enum import StrEnum


class EvidenceReason(StrEnum):
    """Why an input was refused. The values are what a condition or an error message shows."""

    COLUMNS_MISMATCH = "ColumnsMismatch"
    LOSS_NOT_FINITE = "LossNotFinite"
    LOSS_OUT_OF_RANGE = "LossOutOfRange"
    PROPENSITY_MISSING = "PropensityMissing"
    PROPENSITY_OUT_OF_RANGE = "PropensityOutOfRange"
    PROPENSITY_CHANGED = "PropensityChanged"
    TERM_MISSING = "TermMissing"
    TERM_OUT_OF_RANGE = "TermOutOfRange"
    SEQUENCE_GAP = "SequenceGap"
    SEQUENCE_BACKWARDS = "SequenceBackwards"
    INVALID_PLAN = "InvalidPlan"
    PLAN_CHANGED = "PlanChanged"
    STATE_VERSION = "StateVersion"
    STATE_INVALID = "StateInvalid"
    COUNTER_NOT_FINITE = "CounterNotFinite"
    COUNTER_NEGATIVE = "CounterNegative"
    COUNTERS_INCONSISTENT = "CountersInconsistent"
    SERIES_DUPLICATE = "SeriesDuplicate"
    INSTANCE_INVALID = "InstanceInvalid"
    SERIES_TOO_MANY = "SeriesTooMany"
    REVISION_UNKNOWN = "RevisionUnknown"


class EvidenceError(ValueError):
    """An input that the engine refuses; nothing of the call that raised it was counted.

    Attributes:
        reason: the name, stable over versions.
        detail: one sentence that names the field, the place and the way out.
    """

    def __init__(self, *, reason: EvidenceReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail

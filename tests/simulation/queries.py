"""Answers that a story gives to guardrails' queries."""

from datetime import datetime

from learnops.domain.observed import QueryAnswer, QueryReading
from learnops.domain.unavailable import ErrorReason, Unavailable

NO_ANSWER = Unavailable(reason=ErrorReason.NO_DATA, message="the query has no answer")
NAN = Unavailable(reason=ErrorReason.NOT_A_NUMBER, message="the answer is nan")
PROMETHEUS_SILENT = Unavailable(
    reason=ErrorReason.PROMETHEUS_UNAVAILABLE, message="Prometheus did not answer within 5 s"
)


def evaluated(told: float | QueryAnswer, *, at: datetime) -> QueryAnswer:
    """What the query says when it is asked now; an answer is told as it is."""
    return QueryReading(value=told, at=at) if isinstance(told, float) else told

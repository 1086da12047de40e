"""What could not be observed. Not knowing is no bad evidence and no good one: it is told apart."""

from dataclasses import dataclass
from enum import StrEnum


class ErrorReason(StrEnum):
    """Named reasons of an Error: each is data for the planner, none ever becomes a zero."""

    PROMETHEUS_UNAVAILABLE = "PrometheusUnavailable"  # refused, reset, timed out, 5xx
    PROMETHEUS_BAD_ANSWER = "PrometheusBadAnswer"  # HTML, not JSON, status "error"
    PROMETHEUS_PARTIAL = "PrometheusPartialAnswer"  # warnings, a partial response
    PROMETHEUS_TOO_LARGE = "PrometheusAnswerTooLarge"  # over 10 MB
    NO_DATA = "NoData"  # an empty answer
    NOT_A_NUMBER = "NotANumber"  # NaN or ±Inf
    AMBIGUOUS_SERIES = "AmbiguousSeries"  # two series where one was expected
    STALE = "StaleData"  # older than maxStalenessSeconds
    INCONSISTENT = "InconsistentCounters"  # e.g. a sum larger than its count
    RUN_LOG_UNAVAILABLE = "RunLogUnavailable"  # Postgres refused, timed out, too new a schema
    RUN_LOG_RESTORED = "RunLogRestored"  # it does not hold what was read of it, or opened in it
    RUN_LOG_INVALID = "RunLogInvalid"  # a gap in the sequence, a loss outside [0, 1], ...
    ROUTE_UNAVAILABLE = "RouteUnavailable"  # HTTPRoute missing or unreadable


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """Something could not be observed: an Error with a reason and a sentence for a person."""

    reason: ErrorReason
    message: str

"""The outcome taxonomy: failing, not knowing and being broken are different things."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Why something did not go on."""

    FAIL = "Fail"  # the evidence says worse
    INCONCLUSIVE = "Inconclusive"  # not enough evidence, or conflicting
    ERROR = "Error"  # a source is down or answers nonsense
    INVALID_SPEC = "InvalidSpec"  # a person must mend the object
    FORBIDDEN = "Forbidden"  # a person must grant a right
    BUG = "Bug"  # ours


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

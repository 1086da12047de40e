"""The nine terms of the CRL, their scales and the checks of what a run reports for them.

Every term is normalised to [0, 1], 0 the best:

| term | reported as | value |
| --- | --- | --- |
| gatePassRate | ``metrics.gatePassRate``, a rate; else passed/all of ``gates`` | 1 - rate |
| contradictions | ``metrics.contradictions``, a count | 1 - exp(-count/3) |
| grounding | ``metrics.grounding``, a rate | 1 - rate |
| costOverBudget | ``costs.costUSD`` | clip((cost - budget)/budget, 0, 1) |
| latencyP95 | ``metrics.latencyP95Milliseconds`` | clip((p95 - budget)/budget, 0, 1) |
| securityCriticals | ``metrics.securityCriticals``, a count | 1 - exp(-count/1) |
| apiBreakages | ``metrics.apiBreakages``, a count | 1 - exp(-count/2) |
| dbMigrationFail | ``metrics.dbMigrationFail``, true or false | 1 or 0 |
| ragCoverage | ``metrics.ragCoverage``, a rate | 1 - rate |

The budgets are the run's own ``budget.maxCostUSD`` and ``budget.maxDurationMilliseconds`` where it
states them, else the doer's.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from math import exp, inf, isfinite
from typing import Final


class Term(StrEnum):
    """The nine terms; the values are the keys of weights, guardrails and the stored breakdown."""

    GATE_PASS_RATE = "gatePassRate"  # noqa: S105 - a metric, no password
    CONTRADICTIONS = "contradictions"
    GROUNDING = "grounding"
    COST_OVER_BUDGET = "costOverBudget"
    LATENCY_P95 = "latencyP95"
    SECURITY_CRITICALS = "securityCriticals"
    API_BREAKAGES = "apiBreakages"
    DB_MIGRATION_FAIL = "dbMigrationFail"
    RAG_COVERAGE = "ragCoverage"


CONTRADICTIONS_SCALE: Final = 3.0
SECURITY_CRITICALS_SCALE: Final = 1.0
API_BREAKAGES_SCALE: Final = 2.0
"""Counts at which a term reaches 1 - 1/e (0.63): one critical finding weighs as two broken APIs and
as three contradictions. Normative: a change opens a new analysis generation."""

RATE_ROUNDING: Final = 1e-9
"""How far a rate may lie outside of [0, 1]: what sums and cosines in floating point add to it."""


class InvalidMetric(ValueError):  # noqa: N818 - the name that ingest's error answers carry
    """A reported value that is not what its field means; the run is refused, never scored.

    Attributes:
        field: path in the bundle, like ``metrics.grounding``.
        detail: what is wrong and what to send.
    """

    def __init__(self, *, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


def number(value: object, field: str) -> float:
    """A finite number that is not negative; True and "1" are no numbers."""
    if type(value) is float and 0.0 <= value < inf:
        return value  # what nearly all are
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidMetric(field=field, detail=f"is {_shown(value)}; send a number")
    try:
        converted = float(value)
    except OverflowError:
        raise InvalidMetric(field=field, detail="is too large; send a finite number") from None
    if not isfinite(converted):
        raise InvalidMetric(field=field, detail=f"is {converted}; send a finite number")
    if converted < 0.0:
        raise InvalidMetric(field=field, detail=f"is {_shown(value)}; send 0 or more")
    return converted


def rate(value: object, field: str) -> float:
    """A number in [0, 1]; one that misses it by `RATE_ROUNDING` at most is its nearer end."""
    if isinstance(value, float) and -RATE_ROUNDING <= value < 0.0:
        return 0.0
    converted = number(value, field)
    if converted > 1.0 + RATE_ROUNDING:
        raise InvalidMetric(field=field, detail=f"is {_shown(value)}; send a rate from 0 to 1")
    return min(converted, 1.0)


def flag(value: object, field: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidMetric(field=field, detail=f"is {_shown(value)}; send true or false")
    return value


METRICS: Final[Mapping[str, Callable[[object, str], float | bool]]] = {
    "gatePassRate": rate,
    "contradictions": number,
    "grounding": rate,
    "latencyP95Milliseconds": number,
    "securityCriticals": number,
    "apiBreakages": number,
    "dbMigrationFail": flag,
    "ragCoverage": rate,
}
"""What each metric that a term reads must be; beside them there is the cost `costUSD`, a number."""


def positive(value: object, field: str) -> float:
    """A number above 0, such as a budget."""
    converted = number(value, field)
    if converted == 0.0:
        raise InvalidMetric(field=field, detail="is 0; send a number above 0, or leave it out")
    return converted


def from_count(count: float, *, scale: float) -> float:
    """1 - exp(-count/scale): 0 for none, towards 1 for many."""
    return 1.0 - exp(-count / scale)


def over_budget(value: float, *, budget: float) -> float:
    """clip((value - budget)/budget, 0, 1): 0 within the budget, 1 from twice the budget on."""
    return min(max(value / budget - 1.0, 0.0), 1.0)


def _shown(value: object) -> str:
    return f"{value!r:.40}"

"""From what a run reports to its loss: a pure function, the same for ingest and replay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Final, NamedTuple

from learnops.domain.crl.terms import (
    API_BREAKAGES_SCALE,
    CONTRADICTIONS_SCALE,
    SECURITY_CRITICALS_SCALE,
    InvalidMetric,
    Term,
    flag,
    from_count,
    number,
    over_budget,
    positive,
    rate,
)
from learnops.domain.crl.yardstick import Budget, ExtraTerm, Yardstick

MAX_GATES = 1000
_TERMS: Final = tuple(term.value for term in Term)


# Named tuples where a run has many: they are made several times as quickly as frozen dataclasses.
class Gate(NamedTuple):
    """A check that the run's result passed or failed."""

    name: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMetrics:
    """The part of a bundle that the CRL reads; unknown names are other people's and are ignored.

    Attributes:
        metrics: by the names of ``terms``.
        costs: ``costUSD``.
        budget: ``maxCostUSD`` and ``maxDurationMilliseconds``, the run's own budgets.
        gates: the gates that ran.
    """

    metrics: Mapping[str, object]
    costs: Mapping[str, object] = field(default_factory=dict)
    budget: Mapping[str, object] = field(default_factory=dict)
    gates: Sequence[Gate] = ()


class Contribution(NamedTuple):
    """One line of the breakdown: ``share`` = weight * value / sum of weights; they sum to the loss.

    ``reported`` is False where the run was silent and the value is the imputed worst, 1.
    """

    term: str
    weight: float
    value: float
    share: float
    reported: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CRLResult:
    """A run's score.

    Attributes:
        loss: CRL divided by the sum of weights, in [0, 1]; what evidence reads.
        crl: the weighted sum L itself.
        terms: normalised value of every term that was reported, in use or not.
        contributions: the breakdown over the terms in use, in the order of ``Term``, then the extra
            ones.
        partial: whether a term in use was not reported.
        missing: these terms.
    """

    loss: float
    crl: float
    terms: Mapping[str, float]
    contributions: tuple[Contribution, ...]
    partial: bool
    missing: tuple[str, ...]


def score(bundle: BundleMetrics, by: Yardstick) -> CRLResult:
    """The CRL of a run. A term in use that is not reported counts 1, the worst.

    An arm must not win by falling silent. A cost or latency without any budget counts as not
    reported: without a yardstick nothing is known.

    Raises:
        InvalidMetric: a value that is NaN, infinite, negative, no rate, or of the wrong type, also
            in a term that is not in use.
    """
    reported = read_terms(bundle, by.budget) | read_extra(bundle, by.extra)
    weights = by.weights.by_term
    known = (*_TERMS, *(term.name for term in by.extra))
    in_use = [term for term in known if weights.get(term, 0.0) > 0.0]
    if by.only_reported:
        in_use = [term for term in in_use if term in reported] or in_use
    total = fsum(weights[term] for term in in_use)
    contributions = tuple(
        [_line(term, weights[term], reported.get(term), total=total) for term in in_use]
    )
    missing = tuple(term for term in in_use if term not in reported)
    return CRLResult(
        loss=min(fsum(line.share for line in contributions), 1.0),
        crl=fsum(line.weight * line.value for line in contributions),
        terms=reported,
        contributions=contributions,
        partial=bool(missing),
        missing=missing,
    )


def _line(term: str, weight: float, reported: float | None, *, total: float) -> Contribution:
    value = 1.0 if reported is None else reported
    return Contribution(term, weight, value, weight / total * value, reported is not None)


def read_extra(bundle: BundleMetrics, extra: Sequence[ExtraTerm]) -> dict[str, float]:
    """The same of extra terms: ``clip(value / cap, 0, 1)``."""
    values = {
        term.name: number(value, f"metrics.{term.metric}") / term.cap
        for term in extra
        for value in [bundle.metrics.get(term.metric)]
        if value is not None
    }
    return {name: min(value, 1.0) for name, value in values.items()}


def read_terms(bundle: BundleMetrics, budget: Budget) -> dict[str, float]:
    """The normalised value of each of the nine terms that the run reports."""
    metrics = bundle.metrics
    values = (  # in the order of Term
        _gate_term(bundle),
        _count(metrics, "contradictions", CONTRADICTIONS_SCALE),
        _shortfall(metrics, "grounding"),
        _over(
            bundle.costs.get("costUSD"),
            "costs.costUSD",
            budget=_budget(bundle, "maxCostUSD", budget.cost_usd),
        ),
        _over(
            metrics.get("latencyP95Milliseconds"),
            "metrics.latencyP95Milliseconds",
            budget=_budget(bundle, "maxDurationMilliseconds", budget.latency_milliseconds),
        ),
        _count(metrics, "securityCriticals", SECURITY_CRITICALS_SCALE),
        _count(metrics, "apiBreakages", API_BREAKAGES_SCALE),
        _failed(metrics, "dbMigrationFail"),
        _shortfall(metrics, "ragCoverage"),
    )
    return {term: value for term, value in zip(_TERMS, values, strict=True) if value is not None}


def _gate_term(bundle: BundleMetrics) -> float | None:
    stated = _shortfall(bundle.metrics, "gatePassRate")
    if stated is not None or not bundle.gates:
        return stated
    if len(bundle.gates) > MAX_GATES:
        raise InvalidMetric(field="gates", detail=f"has over {MAX_GATES} entries")
    passed = [flag(gate.passed, f"gates[{gate.name:.60}].passed") for gate in bundle.gates]
    return 1.0 - sum(passed) / len(passed)


def _shortfall(metrics: Mapping[str, object], name: str) -> float | None:
    value = metrics.get(name)
    return None if value is None else 1.0 - rate(value, f"metrics.{name}")


def _count(metrics: Mapping[str, object], name: str, scale: float) -> float | None:
    value = metrics.get(name)
    return None if value is None else from_count(number(value, f"metrics.{name}"), scale=scale)


def _failed(metrics: Mapping[str, object], name: str) -> float | None:
    value = metrics.get(name)
    return None if value is None else float(flag(value, f"metrics.{name}"))


def _over(value: object, path: str, *, budget: float | None) -> float | None:
    if value is None:
        return None
    spent = number(value, path)
    return None if budget is None else over_budget(spent, budget=budget)


def _budget(bundle: BundleMetrics, name: str, fallback: float | None) -> float | None:
    stated = bundle.budget.get(name)
    return fallback if stated is None else positive(stated, f"budget.{name}")

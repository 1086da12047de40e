"""What a bundle scores: the CRL with the weights that are in force for the run."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from pydantic import ValidationError

from learnops.api.crl import CRL
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.score import BundleMetrics, CRLResult, Gate, score
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Yardstick, Yardsticks
from learnops.server.models import Bundle, RunAnswer


def frozen_yardsticks(crl: Mapping[str, Any]) -> Yardsticks:
    """From what was frozen with a rollout. Raises InvalidMetric."""
    try:
        return yardsticks(CRL.model_validate(crl))
    except ValidationError as error:
        detail = "the frozen CRL configuration cannot be read by this version"
        raise InvalidMetric(field="rollout", detail=detail) from error


def score_bundle(bundle: Bundle, by: Yardstick) -> CRLResult:
    """The run's score. Raises InvalidMetric naming the field."""
    metrics, costs = dict(bundle.metrics), dict(bundle.costs)
    _refuse_non_numbers(metrics, "metrics")
    _refuse_non_numbers(costs, "costs")
    budgets = bundle.budget.model_dump(by_alias=True, exclude_none=True)
    gates = [Gate(name=gate.name, passed=gate.passed) for gate in bundle.gates]
    return score(BundleMetrics(metrics=metrics, costs=costs, budget=budgets, gates=gates), by)


def answer(run_id: str, *, status: str, result: CRLResult) -> RunAnswer:
    """What is told of a run that was just scored."""
    lines = result.contributions
    return RunAnswer(
        run_id=run_id,
        status=status,
        loss=result.loss,
        terms=dict(result.terms),
        weights={line.term: line.weight for line in lines},
        contributions={line.term: line.share for line in lines},
        partial=result.partial,
        missing=list(result.missing),
    )


def _refuse_non_numbers(values: Mapping[str, object], where: str) -> None:
    for name, value in values.items():
        if value is not None and not isinstance(value, bool | int | float):
            detail = "must be a number, true, false or null"
            raise InvalidMetric(field=f"{where}.{name}", detail=detail)
        if isinstance(value, float) and not isfinite(value):
            raise InvalidMetric(field=f"{where}.{name}", detail="must be a finite number")
        # Sums of them are counters: one run must not push a counter to infinity.
        if isinstance(value, int | float) and abs(value) > 2**53:
            raise InvalidMetric(field=f"{where}.{name}", detail="is too large; use at most 2^53")

"""What a bundle scores: the CRL with the weights that are in force for the run."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from pydantic import ValidationError

from learnops.api.crl import CRL
from learnops.domain.bundle_limits import MAX_NUMBER
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.score import BundleMetrics, CRLResult, Gate, score
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Yardstick, Yardsticks
from learnops.server.discretion import named
from learnops.server.models import Bundle, RunAnswer


def frozen_yardsticks(crl: Mapping[str, Any]) -> Yardsticks:
    """From what was frozen with a rollout. Raises InvalidMetric."""
    try:
        return yardsticks(CRL.model_validate(crl))
    except ValidationError as error:
        detail = "the frozen CRL configuration cannot be read by this version"
        raise InvalidMetric(field="rollout", detail=detail) from error


def in_force(found: Yardsticks | InvalidMetric) -> Yardsticks:
    """The yardsticks of a generation, or why there are none, which is kept like them.

    Raises InvalidMetric: a new one, as one that is raised again and again holds on to every bundle
    that it was raised for.
    """
    if isinstance(found, InvalidMetric):
        raise InvalidMetric(field=found.field, detail=found.detail)
    return found


def score_bundle(bundle: Bundle, by: Yardstick) -> CRLResult:
    """The run's score. Raises InvalidMetric naming the field."""
    _refuse_non_numbers(bundle.metrics, "metrics")
    _refuse_non_numbers(bundle.costs, "costs")
    budget = {
        "maxCostUSD": bundle.budget.max_cost_usd,
        "maxDurationMilliseconds": bundle.budget.max_duration_milliseconds,
    }
    gates = [Gate(gate.name, gate.passed) for gate in bundle.gates]
    reported = BundleMetrics(metrics=bundle.metrics, costs=bundle.costs, budget=budget, gates=gates)
    return score(reported, by)


def another_doers(doer: str) -> InvalidMetric:
    """A run is not of the doer that was named. Which one it is of is not for whoever may report
    for this doer alone."""
    detail = f"is {doer!r}, but the run is another doer's; name that one"
    return InvalidMetric(field="doer", detail=detail)


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
        # NaN and the infinite ones are within no bounds.
        if isinstance(value, int | float) and -MAX_NUMBER <= value <= MAX_NUMBER:
            continue
        if value is not None:
            raise InvalidMetric(field=f"{where}.{named(name)}", detail=_why_refused(value))


def _why_refused(value: object) -> str:
    if not isinstance(value, int | float):
        return "must be a number, true, false or null"
    if isinstance(value, float) and not isfinite(value):
        return "must be a finite number"
    return "is too large; use at most 2^53"

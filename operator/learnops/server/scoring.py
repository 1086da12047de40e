"""From a bundle to a scored row: the CRL with the weights that are in force for the run."""

import hashlib
import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from pydantic import ValidationError

from learnops.adapters.postgres.runs import Registration, RunRow, StoredRun
from learnops.api.crl import CRL
from learnops.domain.assignment import Arm
from learnops.domain.crl.score import Budget, BundleMetrics, CRLResult, Gate, Weights, score
from learnops.domain.crl.terms import InvalidMetric
from learnops.server.models import Bundle, RunAnswer

Yardstick = tuple[Weights, Budget]


def yardstick(crl: CRL) -> Yardstick:
    """Weights and budgets of a doer's CRL configuration. Raises InvalidMetric."""
    named = {name: float(weight) for name, weight in crl.weights.to_wire().items()}
    cost, latency = crl.budget.cost_usd, crl.budget.latency_milliseconds
    budget = Budget(
        cost_usd=None if cost is None or float(cost) == 0 else float(cost),
        latency_milliseconds=None if latency is None else float(latency),
    )
    return Weights.of(named), budget


def frozen_yardstick(crl: Mapping[str, Any]) -> Yardstick:
    """The same from what was frozen with a rollout. Raises InvalidMetric."""
    try:
        return yardstick(CRL.model_validate(crl))
    except ValidationError as error:
        detail = "the frozen CRL configuration cannot be read by this version"
        raise InvalidMetric(field="rollout", detail=detail) from error


def score_bundle(bundle: Bundle, by: Yardstick) -> CRLResult:
    """The run's score. Raises InvalidMetric naming the field."""
    weights, budget = by
    metrics, costs = dict(bundle.metrics), dict(bundle.costs)
    _refuse_non_numbers(metrics, "metrics")
    _refuse_non_numbers(costs, "costs")
    budgets = bundle.budget.model_dump(by_alias=True, exclude_none=True)
    gates = [Gate(name=gate.name, passed=gate.passed) for gate in bundle.gates]
    scored = BundleMetrics(metrics=metrics, costs=costs, budget=budgets, gates=gates)
    return score(scored, weights, budget)


def row_of(bundle: Bundle, *, registration: Registration | None, result: CRLResult) -> RunRow:
    """The row to store. What was registered stands over what the bundle says.

    A bundle that says control with propensity 0 tells that the registration came too late for its
    agent: the run is stored as what it was, and its registration is voided.
    """
    content = content_of(bundle)
    said_so = {"arm", "propensity"} <= bundle.model_fields_set
    late = said_so and bundle.arm is Arm.CONTROL and bundle.propensity == 0.0
    drawn = bundle if registration is None or late else registration
    cost = bundle.costs.get("costUSD")
    return RunRow(
        namespace=bundle.namespace,
        run_id=bundle.run_id,
        doer=bundle.doer,
        policy=drawn.policy,
        arm=str(drawn.arm),
        propensity=drawn.propensity,
        revision=drawn.revision,
        rollout=None if registration is None else registration.rollout,
        tenant=bundle.tenant,
        duration_milliseconds=bundle.duration_milliseconds,
        cost_usd=None if cost is None else float(cost),
        bundle=content,
        content_hash=hash_of(content),
        loss=result.loss,
        weights=json.dumps({line.term.value: line.weight for line in result.contributions}),
        breakdown=json.dumps(breakdown_of(result)),
        partial=result.partial,
        void=late and registration is not None,
        terms=dict(result.terms),
    )


def content_of(bundle: Bundle) -> str:
    """The bundle as canonical JSON: what is stored, and what two reports of a run must share."""
    told = bundle.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def hash_of(content: str) -> bytes:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(content.encode()).digest()


def answer(run_id: str, *, status: str, result: CRLResult) -> RunAnswer:
    """What is told of a run that was just scored."""
    lines = result.contributions
    return RunAnswer(
        run_id=run_id,
        status=status,
        loss=result.loss,
        terms={term.value: value for term, value in result.terms.items()},
        weights={line.term.value: line.weight for line in lines},
        contributions={line.term.value: line.share for line in lines},
        partial=result.partial,
        missing=[term.value for term in result.missing],
    )


def stored_answer(run_id: str, *, status: str, run: StoredRun) -> RunAnswer:
    """The same, from what is stored."""
    return RunAnswer(
        run_id=run_id,
        status=status,
        loss=run.loss,
        terms=run.breakdown["terms"],
        weights=run.weights,
        contributions=run.breakdown["contributions"],
        partial=run.partial,
        missing=run.breakdown["missing"],
    )


def breakdown_of(result: CRLResult) -> dict[str, Any]:
    """Terms, contributions and what is missing, as stored."""
    return {
        "terms": {term.value: value for term, value in result.terms.items()},
        "contributions": {line.term.value: line.share for line in result.contributions},
        "missing": [term.value for term in result.missing],
    }


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

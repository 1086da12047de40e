"""What a live canary shows of its difference and of what holds it, and no longer than it lives."""

from dataclasses import replace

from learnops.api.canary import CanaryStage, Verdict
from learnops.api.common import Condition, ConditionStatus
from learnops.app.metrics import OperatorMetrics
from learnops.domain.observed import DifferenceReading
from tests.simulation.evidence import reading
from tests.unit.app.test_guardrail_series import AT, LABELS, canary, snapshot

CANARY = {name: LABELS[name] for name in ("namespace", "doer", "canary")}


def bounds(metrics: OperatorMetrics) -> dict[str, float | None]:
    name = "learnops_canary_difference"
    return {
        bound: metrics.registry.get_sample_value(name, {**LABELS, "bound": bound})
        for bound in ("low", "estimate", "high")
    }


def held(metrics: OperatorMetrics, reason: str) -> float | None:
    return metrics.registry.get_sample_value("learnops_canary_held", {**CANARY, "reason": reason})


def told(*, recommendation: str, reason: str, stage: str = "Canary") -> object:
    condition = Condition(
        type="Reconciling",
        status=ConditionStatus.TRUE,
        reason=reason,
        observed_generation=1,
        last_transition_time=AT,
    )
    found = canary(source="RunLog")
    changes = {
        "recommendation": Verdict(recommendation),
        "conditions": (condition,),
        "stage": CanaryStage(stage),
    }
    return found.model_copy(update={"status": found.status.model_copy(update=changes)})


def test_the_difference_and_its_bounds_only_while_they_are_known() -> None:
    metrics = OperatorMetrics(version="0")
    difference = DifferenceReading(estimate=-0.1, low=-0.2, high=0.05)
    metrics.observed(snapshot(evidence={"v2": replace(reading(), difference=difference)}))
    assert bounds(metrics) == {"low": -0.2, "estimate": -0.1, "high": 0.05}
    metrics.observed(snapshot(evidence={"v2": reading()}))
    assert set(bounds(metrics).values()) == {None}


def test_a_held_canary_names_one_reason_and_an_ended_one_none() -> None:
    metrics = OperatorMetrics(version="0")
    metrics.observed(snapshot(canaries=(told(recommendation="Hold", reason="NoData"),)))
    assert held(metrics, "NoData") == 1
    metrics.observed(snapshot(canaries=(told(recommendation="Hold", reason="RunLogUnavailable"),)))
    assert (held(metrics, "NoData"), held(metrics, "RunLogUnavailable")) == (None, 1)
    metrics.observed(snapshot(canaries=(told(recommendation="Continue", reason="Progressing"),)))
    assert held(metrics, "RunLogUnavailable") is None
    metrics.observed(snapshot(canaries=(told(recommendation="Hold", reason="NoData"),)))
    ended = told(recommendation="Hold", reason="NoData", stage="Aborted")
    metrics.observed(snapshot(canaries=(ended,)))
    assert held(metrics, "NoData") is None


def test_what_alerts_watch_begins_with_zero() -> None:
    metrics = OperatorMetrics(version="0")
    labels = {"namespace": "agents", "doer": "planner", "stage": "RolledBack", "verdict": "Futile"}
    name = "learnops_verdict_total"
    assert metrics.registry.get_sample_value(name, labels) is None  # nothing to end yet
    metrics.observed(snapshot())
    assert metrics.registry.get_sample_value(name, labels) == 0
    metrics.observed(snapshot(canaries=(), doer=None))
    assert metrics.registry.get_sample_value(name, labels) is None
    for by in ("operator", "person"):
        assert metrics.registry.get_sample_value("learnops_promotions_total", {"by": by}) == 0

"""Series of guardrails: those that the spec names, and a figure only where there is one."""

from datetime import UTC, datetime

from learnops.api.canary import CanaryStage
from learnops.app.metrics import OperatorMetrics
from learnops.domain.observed import QueryReading, Snapshot
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.simulation.evidence import guardrail, reading
from tests.unit.app.models import KEY, canary, doer

AT = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {"namespace": "agents", "doer": "planner", "canary": "c1", "policy": "v2"}
P95 = {"name": "p95", "promQL": "latency", "max": "2"}


def snapshot(**changes: object) -> Snapshot:
    guarded = canary(source="RunLog", guardrails=[{"term": "grounding"}, P95])
    told: dict[str, object] = {"canaries": (guarded,), "doer": doer(), **changes}
    return Snapshot(key=KEY, now=AT, fence=1, policies={}, **told)  # type: ignore[arg-type]


def value(metrics: OperatorMetrics, name: str, **labels: str) -> float | None:
    found = metrics.registry.get_sample_value(name, {**LABELS, **labels})
    return None if found is None else round(found, 6)


def test_a_term_shows_its_e_values_and_a_query_its_answer() -> None:
    metrics = OperatorMetrics(version="0")
    evidence = {"v2": reading(guardrails=(guardrail(promote=3.0, rollback=7.0),))}
    answers = {"v2": {"p95": QueryReading(value=1.5, at=AT)}}
    metrics.observed(snapshot(evidence=evidence, queries=answers))
    name = "learnops_canary_guardrail_evidence"
    assert value(metrics, name, guardrail="grounding", decision="rollback") == 7.0
    assert value(metrics, name, guardrail="grounding", decision="promote") == 3.0
    assert value(metrics, "learnops_canary_guardrail_value", guardrail="p95") == 1.5
    assert value(metrics, "learnops_canary_guardrail_breaches", guardrail="p95") == 0.0


def test_an_answer_that_is_gone_is_not_shown_any_more_nor_is_an_ended_canary() -> None:
    metrics = OperatorMetrics(version="0")
    answers = {"v2": {"p95": QueryReading(value=1.5, at=AT)}}
    metrics.observed(snapshot(queries=answers))
    gone = Unavailable(reason=ErrorReason.NO_DATA, message="the query has no answer")
    metrics.observed(snapshot(queries={"v2": {"p95": gone}}))
    assert value(metrics, "learnops_canary_guardrail_value", guardrail="p95") is None
    assert value(metrics, "learnops_canary_guardrail_breaches", guardrail="p95") == 0.0
    (live,) = snapshot().canaries
    ended = live.status.model_copy(update={"stage": CanaryStage.ROLLED_BACK})
    metrics.observed(snapshot(canaries=(live.model_copy(update={"status": ended}),)))
    assert value(metrics, "learnops_canary_guardrail_breaches", guardrail="p95") is None

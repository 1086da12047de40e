"""The report of a canary."""

from datetime import UTC, datetime

from learnops.api.canary import CandidateStatus
from learnops.api.common import Condition
from learnops.api.shadow import ShadowStatus
from learnops.app.reports import canary_report
from tests.unit.app.models import canary

EVIDENCE = {
    "promote": "3.1",
    "promoteThreshold": "32.9",
    "rollback": "0.2",
    "rollbackThreshold": "20",
    "guardrails": [
        {"term": "grounding", "rollback": "1.5", "promote": "2", "promoteThreshold": "20"}
    ],
}


def test_the_difference_is_told_with_its_bounds_and_each_guardrail() -> None:
    told = {
        "name": "v2",
        "attempt": 1,
        "difference": {"estimate": "-0.040", "low": "-0.100", "high": "0.010"},
        "evidence": EVIDENCE,
    }
    found = canary()
    status = found.status.model_copy(update={"candidates": (CandidateStatus.model_validate(told),)})
    (shown,) = canary_report(found.model_copy(update={"status": status}))["candidates"]
    assert shown["difference"] == {"estimate": -0.04, "low": -0.1, "high": 0.01}
    assert shown["evidence"]["guardrails"][0]["term"] == "grounding"


def test_the_shadow_stage_is_told_as_it_stands() -> None:
    told = {
        "startTime": "2026-01-05T10:00:00Z",
        "pairs": 31,
        "loss": "0.300",
        "controlLoss": "0.310",
        "difference": {"estimate": "-0.010", "low": "-0.300", "high": "0.100"},
        "harm": "0.6",
        "harmThreshold": "20",
        "outcome": "Passed",
    }
    found = canary()
    status = found.status.model_copy(update={"shadow": ShadowStatus.model_validate(told)})
    shown = canary_report(found.model_copy(update={"status": status}))["shadow"]
    assert (shown["pairs"], shown["harm"], shown["outcome"]) == (31, "0.6", "Passed")
    assert shown["difference"]["high"] == "0.100"
    assert canary_report(found)["shadow"] is None


def test_figures_are_numbers_and_low_traffic_is_told_with_its_reason() -> None:
    told = {"runsStillNeeded": 340, "winRatePercent": "48.2", "costDelta": "-0.002"}
    candidate = CandidateStatus.model_validate({"name": "v2", "attempt": 1, **told})
    low = {
        "type": "LowTraffic",
        "status": "True",
        "reason": "BeyondDeadline",
        "message": "use steps [50] in a new rollout",
        "lastTransitionTime": "2026-01-05T10:00:00Z",
    }
    found = canary()
    changes = {
        "candidates": (candidate,),
        "estimated_decision_time": datetime(2026, 1, 9, tzinfo=UTC),
        "conditions": (Condition.model_validate(low),),
    }
    report = canary_report(
        found.model_copy(update={"status": found.status.model_copy(update=changes)})
    )
    (shown,) = report["candidates"]
    assert (shown["runsStillNeeded"], shown["winRatePercent"], shown["costDelta"]) == (
        340,
        48.2,
        -0.002,
    )
    assert report["estimatedDecisionTime"] == "2026-01-09T00:00:00Z"
    assert report["lowTraffic"] == {name: low[name] for name in ("status", "reason", "message")}


def test_figures_that_are_not_known_are_null() -> None:
    report = canary_report(canary())
    (shown,) = report["candidates"]
    assert [shown[name] for name in ("runsStillNeeded", "winRatePercent", "costDelta")] == [
        None
    ] * 3
    assert (report["estimatedDecisionTime"], report["lowTraffic"]) == (None, None)


def test_a_difference_that_is_not_known_is_null() -> None:
    (shown,) = canary_report(canary())["candidates"]
    assert shown["difference"] is None


def test_a_query_without_an_answer_has_no_value_but_a_reason() -> None:
    queries = [
        {"name": "p95", "max": "2.5", "value": "3.25", "breaches": 2},
        {"name": "errors", "max": "0.01", "reason": "NoData", "breaches": 0},
    ]
    told = CandidateStatus.model_validate({"name": "v2", "attempt": 1, "queries": queries})
    found = canary()
    status = found.status.model_copy(update={"candidates": (told,)})
    (shown,) = canary_report(found.model_copy(update={"status": status}))["candidates"]
    assert shown["queries"] == [
        {"name": "p95", "value": 3.25, "max": 2.5, "breaches": 2, "reason": None},
        {"name": "errors", "value": None, "max": 0.01, "breaches": 0, "reason": "NoData"},
    ]

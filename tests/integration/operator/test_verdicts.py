"""Verdicts beside promotion and roll-back, from the spec's field to the status and the report."""

from typing import Any

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    first_policy,
    second_policy,
    serves,
    wait_event,
    wait_stage,
    wait_status,
)

FUTILITY = {
    **HALF,
    "analysis": {**HALF["analysis"], "futility": {"level": "0.10", "minImprovement": "0.1"}},
}


def test_a_candidate_that_is_no_better_ends_as_futile(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**FUTILITY)
    serves(objects, "planner-v1", "planner-v2")
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.4, "planner-v2": 0.4}
    )
    agents.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    serves(objects, "planner-v1")
    told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
    assert told["recommendation"] == "Futile"
    (candidate,) = told["candidates"]
    assert candidate["verdict"] == "Futile"
    assert candidate["evidence"]["futilityThreshold"] == "10"
    assert float(candidate["evidence"]["rollback"]) < 20
    assert told["history"][-1]["reason"] == "Futile"
    assert condition(told, "Ready") == ("True", "Futile")
    note = wait_event(objects, "c1", "RolledBack")["note"]
    assert "not better by 0.1" in note
    # What is shown is of the last block; the crossing may have been blocks before, and stands.
    assert float(candidate["evidence"]["futility"]) >= 10 or "had reached 10 at run" in note
    wait_stage(objects, "policies", "planner-v2", "Rejected")


def guarded(objects: Objects, **guardrail: Any) -> None:
    """A canary of planner-v2 with one guardrail on contradictions, and its first traffic."""
    guardrails = [{"term": "contradictions", **guardrail}]
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**{**HALF, "analysis": {**HALF["analysis"], "guardrails": guardrails}})
    serves(objects, "planner-v1", "planner-v2")


def rolled_back(objects: Objects, agents: Agents) -> Json:
    """Let the agents work until the candidate is rolled back; the canary's status."""
    agents.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
    wait_stage(objects, "policies", "planner-v2", "Rejected")
    return told


def test_a_term_that_breaks_behind_an_equal_loss_is_rolled_back_and_named(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    guarded(objects)
    agents = Agents(
        objects=objects,
        database=run_log,
        losses={"planner-v1": 0.4, "planner-v2": 0.4},
        contradictions={"planner-v1": 0.05, "planner-v2": 0.4},
    )
    told = rolled_back(objects, agents)
    assert told["recommendation"] == "Rollback"
    evidence = told["candidates"][0]["evidence"]
    assert evidence["culprit"] == "contradictions"
    (guardrail,) = evidence["guardrails"]
    assert guardrail["term"] == "contradictions"
    assert float(guardrail["candidateMean"]) > float(guardrail["controlMean"])
    assert float(guardrail["rollback"]) > float(evidence["rollback"]) > 1
    difference = {name: float(it) for name, it in told["candidates"][0]["difference"].items()}
    assert difference["low"] <= difference["estimate"] <= difference["high"]
    note = wait_event(objects, "c1", "RolledBack")["note"]
    assert "is worse in contradictions" in note
    assert float(evidence["rollback"]) >= 20 or "had reached 20 at run" in note


def test_more_breaches_than_are_borne_roll_back_at_once(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    guarded(objects, immediate={"maxCount": 2})
    agents = Agents(
        objects=objects,
        database=run_log,
        losses={"planner-v1": 0.4, "planner-v2": 0.4},
        contradictions={"planner-v1": 1.0, "planner-v2": 1.0},
    )
    told = rolled_back(objects, agents)
    assert told["history"][-1]["reason"] == "GuardrailBreached"
    assert float(told["candidates"][0]["evidence"]["rollback"]) < 20
    assert told["candidates"][0]["evidence"]["guardrails"][0]["breaches"] > 2
    assert told["candidates"][0]["evidence"]["culprit"] == "contradictions"


def test_better_is_promoted_once_its_guardrail_is_shown_not_worse(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    guarded(objects, margin="0.2")
    losses = {"planner-v1": 0.6, "planner-v2": 0.2}
    contradictions = {"planner-v1": 0.05, "planner-v2": 0.05}
    agents = Agents(objects=objects, database=run_log, losses=losses, contradictions=contradictions)
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    told = wait_stage(objects, "canarydeployments", "c1", "Promoted")
    (guardrail,) = told["candidates"][0]["evidence"]["guardrails"]
    # It has reached its threshold, which counts; a block that came with it may have taken a part of
    # it away again.
    assert float(guardrail["promote"]) >= float(guardrail["promoteThreshold"]) / 2
    difference = told["candidates"][0]["difference"]
    assert float(difference["high"]) < 0


def test_a_term_that_nobody_reports_is_no_evidence_that_it_is_well(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    guarded(objects, immediate={"maxCount": 0})
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.work(runs=60)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: one["candidates"][0].get("runs", 0) > 0,
        what="the runs to be evidence",
    )
    (guardrail,) = told["candidates"][0]["evidence"]["guardrails"]
    assert (guardrail["candidateMean"], guardrail["controlMean"]) == ("1.000", "1.000")
    assert guardrail.get("breaches", 0) == 0
    assert told["stage"] == "Canary"


def test_a_split_that_is_not_as_planned_holds_what_would_be_promoted(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**HALF)
    serves(objects, "planner-v1", "planner-v2")
    losses = {"planner-v1": 0.6, "planner-v2": 0.2}
    # Drawn at 70 % and logged as 50 %. All at once, or the better one is promoted before it shows.
    agents = Agents(objects=objects, database=run_log, losses=losses, drawn_percent=70)
    agents.work(runs=400)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: condition(one, "Reconciling") == ("True", "SampleRatioMismatch"),
        what="the canary to hold",
    )
    assert told["recommendation"] == "Hold"
    assert told["stage"] == "Canary"
    assert float(told["sampleRatio"]["assigned"]) >= float(told["sampleRatio"]["threshold"])
    evidence = told["candidates"][0]["evidence"]
    assert float(evidence["promote"]) > float(evidence["promoteThreshold"])
    serves(objects, "planner-v1", "planner-v2")


def test_one_look_decides_at_the_planned_number_of_runs_and_reports_its_p_value(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    analysis = {**HALF["analysis"], "method": "FixedHorizon", "maxRuns": 80}
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**{**HALF, "analysis": analysis})
    serves(objects, "planner-v1", "planner-v2")
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    told = wait_stage(objects, "canarydeployments", "c1", "Promoted")
    (candidate,) = told["candidates"]
    assert candidate["runs"] + candidate["controlRuns"] == 80
    evidence = candidate["evidence"]
    assert float(evidence["promotePValue"]) < 0.03 < 0.9 < float(evidence["rollbackPValue"])
    assert "difference" not in candidate

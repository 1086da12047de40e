"""When a canary will be decided, who wins and what it costs, on the real servers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    first_policy,
    message,
    second_policy,
    serves,
    wait_event,
    wait_stage,
    wait_status,
)

# One run every `minutes`, up to now: the doer's life before the canary.
_BEFORE = """
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, bundle, content_hash,
                  received_at)
SELECT %(namespace)s, 'before-' || n, 'planner', 'planner-v1', 'control', 0, 1, '{}', '',
       now() - n * make_interval(mins => %(minutes)s)
FROM generate_series(1, %(runs)s::int) n
"""


def lived(objects: Objects, database: str, *, runs: int, minutes: int) -> None:
    """Runs of the doer, reported before its canary."""
    values = {"namespace": objects.namespace, "runs": runs, "minutes": minutes}
    with psycopg.connect(database) as connection:
        connection.execute(_BEFORE, values)


def told_of_traffic(objects: Objects, status: str, reason: str) -> Json:
    return wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: condition(told, "LowTraffic") == (status, reason),
        what=f"LowTraffic to be {status} ({reason})",
        seconds=60,
    )


def begin(objects: Objects, **analysis: Any) -> None:
    strategy = {"canary": {"steps": [5, 10, 25, 50], "stepSeconds": 0}}
    rollout = {"strategy": strategy, "analysis": {**HALF["analysis"], **analysis}}
    first_policy(objects, rollout=rollout)
    second_policy(objects)
    objects.canary(**rollout)
    serves(objects, "planner-v1", "planner-v2")


def test_too_little_traffic_is_told_with_the_steps_to_use(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    lived(objects, run_log, runs=100, minutes=60)
    begin(objects, deadlineSeconds=86_400)
    told = told_of_traffic(objects, "True", "BeyondDeadline")
    text = message(told, "LowTraffic")
    assert "more runs at 24 a day" in text
    assert "use steps [25, 50] in a new rollout" in text
    assert "with a longer deadlineSeconds" in text
    (candidate,) = told["candidates"]
    runs = candidate["runsStillNeeded"]
    assert runs >= 100
    at = datetime.fromisoformat(told["estimatedDecisionTime"])
    expected = datetime.now(UTC) + timedelta(days=runs / 24)
    assert abs(at - expected) < 0.15 * timedelta(days=runs / 24)
    assert f"about {runs} more runs, around {at:%Y-%m-%d}" in told["waitingFor"]
    assert "costDelta" not in candidate
    assert wait_event(objects, "c1", "LowTraffic")["note"] == text


def test_a_volume_that_nobody_knows_gives_no_time(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    begin(objects)
    told = told_of_traffic(objects, "Unknown", "VolumeUnknown")
    assert "no time is told" in message(told, "LowTraffic")
    assert "runsStillNeeded" not in told["candidates"][0], "nor is there a run yet"
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.4, "planner-v2": 0.4}
    )
    agents.work(runs=50)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: "runsStillNeeded" in one["candidates"][0],
        what="the forecast",
        seconds=60,
    )
    assert told["candidates"][0]["runsStillNeeded"] >= 100
    assert "estimatedDecisionTime" not in told
    assert condition(told, "LowTraffic") == ("Unknown", "VolumeUnknown")


def test_wins_and_costs_are_told_and_what_was_still_to_come_ends_with_the_canary(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    lived(objects, run_log, runs=2000, minutes=1)
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    analysis = {**HALF["analysis"], "minCandidateRuns": 500}
    objects.canary(**{**HALF, "analysis": analysis})
    serves(objects, "planner-v1", "planner-v2")
    told_of_traffic(objects, "False", "InTime")
    agents = Agents(
        objects=objects,
        database=run_log,
        losses={"planner-v1": 0.5, "planner-v2": 0.3},
        costs={"planner-v1": 0.02, "planner-v2": 0.05},
    )
    agents.work(runs=300)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: "winRatePercent" in one["candidates"][0],
        what="the figures of these runs",
        seconds=60,
    )
    (candidate,) = told["candidates"]
    # Two normals 0.2 apart, each with deviation 0.1: P(lower) = Phi(2/sqrt(2)) = 92 %.
    assert 88 < float(candidate["winRatePercent"]) < 96
    assert abs(float(candidate["costDelta"]) - 0.03) < 1e-6
    # 500 candidate runs are asked for, half of all are the candidate's: 700 of 1,000 are missing.
    assert 650 < candidate["runsStillNeeded"] < 760
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    told = wait_stage(objects, "canarydeployments", "c1", "Promoted")
    assert "estimatedDecisionTime" not in told
    assert "runsStillNeeded" not in told["candidates"][0]
    assert condition(told, "LowTraffic") == ("False", "Ended")
    assert "winRatePercent" in told["candidates"][0]

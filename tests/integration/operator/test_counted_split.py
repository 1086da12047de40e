"""A split that is not as planned, seen from Prometheus' counters alone."""

from collections.abc import Iterator

import pytest

from testbed.stack import Stack
from tests.integration.objects import Objects
from tests.integration.operator.counted import CountedAgents, Counters, scraped
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import HALF, by_hand, condition, serves, wait_status

COUNTED = {**HALF, "analysis": {**HALF["analysis"], "source": "Prometheus"}}


@pytest.fixture
def counters(stack: Stack) -> Iterator[Counters]:
    with scraped(stack) as found:
        yield found


def test_a_split_that_is_not_as_planned_holds_what_would_be_promoted(
    operator: OperatorProcess, objects: Objects, counters: Counters
) -> None:
    by_hand(objects, rollout=COUNTED)
    # Drawn at 75 % and counted as 50 %. All at once, or the better one is promoted before it shows.
    agents = CountedAgents(
        objects=objects,
        counters=counters,
        losses={"planner-v1": 0.8, "planner-v2": 0.1},
        drawn_percent=75,
    )
    agents.work(runs=600)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: condition(one, "Reconciling") == ("True", "SampleRatioMismatch"),
        what="the canary to hold",
        seconds=60,
    )
    assert told["recommendation"] == "Hold"
    ratio = told["sampleRatio"]
    assert float(ratio["assigned"]) >= float(ratio["threshold"])
    assert float(ratio["expectedShare"]) == 0.5
    assert float(ratio["observedShare"]) > 0.7
    evidence = told["candidates"][0]["evidence"]
    assert float(evidence["promote"]) > float(evidence["promoteThreshold"])
    serves(objects, "planner-v1", "planner-v2")


def test_a_split_as_planned_is_told_and_holds_nothing(
    operator: OperatorProcess, objects: Objects, counters: Counters
) -> None:
    by_hand(objects, rollout=COUNTED)
    losses = {"planner-v1": 0.4, "planner-v2": 0.4}
    agents = CountedAgents(objects=objects, counters=counters, losses=losses)
    agents.work(runs=100)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: (
            "observedShare" in one.get("sampleRatio", {})
            and condition(one, "EvidenceAvailable")[0] == "True"
        ),
        what="the split to be told",
        seconds=60,
    )
    assert float(told["sampleRatio"]["assigned"]) < 1
    assert condition(told, "Reconciling") == ("True", "Progressing")
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: one["candidates"][0].get("runsStillNeeded", 0) > 0,
        what="the forecast from the counters' state",
        seconds=60,
    )
    assert condition(told, "LowTraffic") == ("Unknown", "VolumeUnknown")

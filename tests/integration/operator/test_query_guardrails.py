"""Guardrails on PromQL queries, from the spec's field to the answer of a real Prometheus."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from testbed.kubeapi import Json
from testbed.stack import Stack
from testbed.waiting import wait_until
from testbed.watcher import Watcher
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.counted import exposed
from tests.integration.operator.latency import Latency, held, watched
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import serves, wait_event, wait_stage, wait_status


@pytest.fixture
def latency(stack: Stack, objects: Objects) -> Iterator[Latency]:
    found = Latency(objects.namespace)
    with exposed(stack, found.exposition, job=f"latency-{objects.namespace}"):
        yield found


@pytest.mark.parametrize("source", ["RunLog", "Prometheus"])
def test_three_breaches_in_a_row_roll_back(
    operator: OperatorProcess, objects: Objects, latency: Latency, source: str
) -> None:
    latency.of = {"planner-v1": 1.0, "planner-v2": 1.5}
    watched(objects, source=source)
    wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: [it.get("value") for it in one["candidates"][0].get("queries", [])] == ["1.5"],
        what="the first answer",
    )
    counted: dict[int, datetime] = {}

    def note(_kind: str, canary: Json) -> None:
        for one in canary["status"]["candidates"][0].get("queries", []):
            if one["breaches"]:
                counted[one["breaches"]] = datetime.fromisoformat(one["breachTime"])

    with_breaches = Watcher(objects.api, objects.path("canarydeployments"), note, name="breaches")
    with_breaches.start()
    try:
        with_breaches.wait_listed()
        latency.of = {"planner-v1": 1.0, "planner-v2": 3.25}
        serves(objects, "planner-v1")
        told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
        wait_until(
            lambda: {1, 2} <= counted.keys(),
            what="the breaches before the last to be seen",
            deadline_seconds=30,
            explain=lambda: str(counted),
        )
    finally:
        with_breaches.stop()
    assert told["history"][-1]["reason"] == "GuardrailBreached"
    assert told["recommendation"] == "Rollback"
    (query,) = told["candidates"][0]["queries"]
    assert (query["name"], query["value"], query["max"], query["breaches"]) == (
        "p95",
        "3.25",
        "2.5",
        3,
    )
    first, second = counted[1], counted[2]
    third = datetime.fromisoformat(query["breachTime"])  # in the write that ended it
    spacing = timedelta(seconds=0.4)  # most of a tick
    assert second - first >= spacing
    assert third - second >= spacing
    assert "breached guardrail p95" in wait_event(objects, "c1", "RolledBack")["note"]
    wait_stage(objects, "policies", "planner-v2", "Rejected")


def proved(candidate: Json) -> bool:
    """Its evidence suffices to promote it."""
    evidence = candidate.get("evidence")
    return bool(evidence) and float(evidence["promote"]) > float(evidence["promoteThreshold"])


def test_a_query_without_an_answer_holds_what_would_be_promoted(
    stack: Stack, operator: OperatorProcess, objects: Objects, run_log: str, latency: Latency
) -> None:
    latency.of = {"planner-v1": 1.0}
    stack.prometheus.wait_for(f'latency{{namespace="{objects.namespace}"}}')
    watched(objects, maxStalenessSeconds=5)
    agents = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    agents.work(runs=400)
    wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: proved(one["candidates"][0]),
        what="the candidate to be shown better",
    )
    told = held(objects, "GuardrailNoData", words="1 series, none whose labels fit")
    assert proved(told["candidates"][0])
    (query,) = told["candidates"][0]["queries"]
    assert query["reason"] == "NoData"
    assert "value" not in query
    assert told["stage"] == "Canary"
    named = {"canary": "c1", "doer": "planner", "guardrail": "p95"}
    named |= {"namespace": objects.namespace, "policy": "planner-v2"}
    labels = ",".join(f'{name}="{value}"' for name, value in named.items())
    assert f"learnops_canary_guardrail_value{{{labels}}}" not in operator.metrics()
    assert f"learnops_canary_guardrail_breaches{{{labels}}} 0.0" in operator.metrics()
    serves(objects, "planner-v1", "planner-v2")
    latency.of = {"planner-v1": 1.0, "planner-v2": 2.5}
    wait_stage(objects, "canarydeployments", "c1", "Promoted")

"""Guardrails on PromQL queries where Prometheus, or the operator, is away."""

from testbed.kubeapi import Json
from testbed.ports import LOOPBACK, free_port
from testbed.stack import Stack
from testbed.waiting import wait_until
from testbed.watcher import Watcher
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.conftest import Start
from tests.integration.operator.counted import exposed
from tests.integration.operator.latency import Latency, held, watched
from tests.integration.operator.rollouts import wait_stage


def test_a_dead_prometheus_holds_and_does_not_stand_before_a_roll_back(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    start_operator(prometheus_url=f"http://{LOOPBACK}:{free_port()}")
    watched(objects)
    told = held(objects, "GuardrailNoData")
    assert told["candidates"][0]["queries"][0]["reason"] == "PrometheusUnavailable"
    agents = Agents(
        objects=objects, database=migrated, losses={"planner-v1": 0.3, "planner-v2": 0.8}
    )
    agents.until(lambda one: len(one["traffic"]["shares"]) == 1, what="the roll-back")
    told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
    assert told["history"][-1]["reason"] == "Worse"


def test_a_killed_operator_goes_on_counting_from_the_status(
    stack: Stack, objects: Objects, start_operator: Start
) -> None:
    # A tick that leaves time to kill it between the first breach and the third.
    operator = start_operator(tick_seconds="5", lease_seconds="8")
    latency = Latency(objects.namespace)
    latency.of = {"planner-v2": 9.0}
    counts: list[int] = []

    def note(_kind: str, canary: Json) -> None:
        for candidate in canary.get("status", {}).get("candidates", []):
            counts.extend(one["breaches"] for one in candidate.get("queries", []))

    watcher = Watcher(objects.api, objects.path("canarydeployments"), note, name="breaches")
    watcher.start()
    try:
        with exposed(stack, latency.exposition, job=f"latency-{objects.namespace}"):
            watched(objects)
            wait_until(lambda: 1 in counts, what="the first breach", deadline_seconds=60)
            operator.kill()
            at_kill = len(counts)
            assert 3 not in counts
            operator.start()
            wait_stage(objects, "canarydeployments", "c1", "RolledBack", seconds=90)
            wait_until(
                lambda: counts[-1:] == [3],
                what="the third breach to be seen",
                deadline_seconds=30,
                explain=lambda: str(counts),
            )
    finally:
        watcher.stop()
    assert counts == sorted(counts)
    assert counts[at_kill:]

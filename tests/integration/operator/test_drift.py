"""A policy that gets worse after its promotion: the alarm, the canary, and both of its ends."""

import asyncio
import random
from collections.abc import Sequence

import psycopg

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runs import RunRow, store
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    canary_of,
    condition,
    first_policy,
    follow,
    message,
    record,
    second_policy,
    serves,
    wait_event,
    wait_stage,
    wait_status,
)


def promoted(objects: Objects, run_log: str, **analysis: object) -> int:
    """planner-v2 is active and watched; the revision of its promotion."""
    first_policy(objects, rollout={**HALF, "analysis": {**HALF["analysis"], **analysis}})
    second_policy(objects)
    follow(objects, "planner-v2")
    serves(objects, "planner-v1", "planner-v2")
    losses = {"planner-v1": 0.6, "planner-v2": 0.2}
    agents = Agents(objects=objects, database=run_log, losses=losses)
    told = agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    assert told["drift"]["policy"] == "planner-v2"
    assert told["drift"]["sinceRevision"] == told["traffic"]["revision"]
    wait_until(
        lambda: watched(objects, run_log) == "planner-v2",
        what="the run log to number the runs",
        deadline_seconds=30,
    )
    revision: int = told["traffic"]["revision"]
    return revision


def watched(objects: Objects, run_log: str) -> str | None:
    """The policy whose runs the run log numbers."""
    with psycopg.connect(run_log) as connection:
        row = connection.execute(
            "SELECT policy FROM drift_watches WHERE namespace = %s AND doer = 'planner'",
            (objects.namespace,),
        ).fetchone()
    return None if row is None else row[0]


def report(
    objects: Objects, run_log: str, *, name: str, mean: float, runs: int, revision: int
) -> None:
    """Runs outside canaries, stored as the api stores them."""
    chance = random.Random(name)
    losses = [min(max(chance.gauss(mean, 0.1), 0.0), 1.0) for _ in range(runs)]
    rows = [
        _run(objects.namespace, f"{name}-{place}", loss=loss, revision=revision)
        for place, loss in enumerate(losses)
    ]
    asyncio.run(_store(run_log, rows))


async def _store(run_log: str, rows: Sequence[RunRow]) -> None:
    pool = make_pool(run_log, application="test")
    await pool.open()
    try:
        await store(pool, rows=rows)
    finally:
        await pool.close()


def _run(namespace: str, run_id: str, *, loss: float, revision: int) -> RunRow:
    return RunRow(
        namespace=namespace,
        run_id=run_id,
        doer="planner",
        policy="planner-v2",
        arm="control",
        propensity=0.0,
        revision=revision,
        rollout=None,
        tenant=None,
        duration_milliseconds=None,
        cost_usd=None,
        bundle="{}",
        content_hash=run_id.encode(),
        loss=loss,
        weights="{}",
        breakdown="{}",
        partial=False,
        void=False,
    )


def alarmed(objects: Objects, run_log: str, revision: int) -> Json:
    """A baseline, then runs that lose more; the doer's status with the alarm."""
    report(objects, run_log, name="good", mean=0.2, runs=1200, revision=revision)
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "Drifting") == ("False", "NoDrift"),
        what="the baseline",
    )
    assert 0.2 < float(told["drift"]["baseline"]) < 0.25
    assert told["drift"]["runs"] == 1200
    assert "alarmAtRun" not in told["drift"]
    report(objects, run_log, name="worse", mean=0.5, runs=200, revision=revision)
    return wait_status(
        objects, "doers", "planner", lambda one: "alarmAtRun" in one["drift"], what="the alarm"
    )


def test_a_policy_that_gets_worse_makes_room_for_the_previous_one(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    revision = promoted(objects, run_log)
    before = alarms(operator)
    told = alarmed(objects, run_log, revision)
    assert 1200 < told["drift"]["alarmAtRun"] < 1300
    assert condition(told, "Drifting") == ("True", "DriftAlarm")
    canary = canary_of(objects, "planner-v1")
    assert told["drift"]["canary"] == canary
    made = objects.get("canarydeployments", canary)
    assert made["metadata"]["labels"]["learnops.dev/started-by"] == "drift"
    assert made["metadata"]["ownerReferences"][0]["name"] == "planner"
    assert made["spec"]["strategy"]["canary"]["steps"] == [50]
    assert canary in wait_event(objects, "planner", "DriftAlarm")["note"]
    # Counted after the Event: a pass counts what it has written.
    wait_until(lambda: alarms(operator) > before, what="the count", deadline_seconds=30)
    assert alarms(operator) == before + 1
    told = serves(objects, "planner-v2", "planner-v1")
    assert [one["percent"] for one in told["traffic"]["shares"]] == [50, 50]
    assert objects.get("policies", "planner-v1")["status"]["stage"] == "Archived"

    losses = {"planner-v2": 0.6, "planner-v1": 0.2}
    agents = Agents(objects=objects, database=run_log, losses=losses)
    told = agents.until(lambda one: one.get("activePolicy") == "planner-v1", what="the way back")
    wait_stage(objects, "canarydeployments", canary, "Promoted")
    wait_stage(objects, "policies", "planner-v1", "Active")
    wait_stage(objects, "policies", "planner-v2", "Archived")
    assert record(objects, run_log)[-2:] == [("planner-v1", "Active"), ("planner-v2", "Archived")]
    assert told["previousPolicy"] == "planner-v2"
    assert condition(told, "Drifting") == ("False", "LearningBaseline")
    assert told["drift"]["policy"] == "planner-v1"
    assert condition(told, "SpecBehind") == ("True", "OtherPolicyActive")


def test_when_everything_got_worse_the_active_policy_stays(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    # A margin and a hold of the doer's own do not let a policy back that is merely no worse.
    told_to = {"maxRuns": 200, "onInconclusive": "Hold", "promote": {"margin": "0.2"}}
    revision = promoted(objects, run_log, **told_to)
    told = alarmed(objects, run_log, revision)
    canary = told["drift"]["canary"]
    serves(objects, "planner-v2", "planner-v1")
    losses = {"planner-v2": 0.5, "planner-v1": 0.5}
    agents = Agents(objects=objects, database=run_log, losses=losses)
    agents.until(lambda one: len(one["traffic"]["shares"]) == 1, what="the end of the canary")
    serves(objects, "planner-v2")
    ended = wait_stage(objects, "canarydeployments", canary, "Inconclusive")
    assert ended["history"][-1]["reason"] == "NoVerdict"
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: condition(one, "Drifting") == ("True", "ActiveKept"),
        what="the end to be told",
    )
    assert "look for what else has changed" in message(told, "Drifting")
    assert objects.get("policies", "planner-v1")["status"]["stage"] == "Archived"
    assert objects.get("policies", "planner-v2")["status"]["stage"] == "Active"

    # One alarm per promotion, however bad the runs that follow.
    report(objects, run_log, name="worst", mean=0.9, runs=500, revision=revision)
    objects.api.merge(
        objects.path("doers", "planner"), {"spec": {"rollout": {"analysis": {"maxRuns": 300}}}}
    )
    generation = objects.get("doers", "planner")["metadata"]["generation"]
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda one: one["observedGeneration"] == generation,
        what="another look",
    )
    assert told["drift"]["canary"] == canary
    assert canary_of(objects, "planner-v1") == canary


def alarms(operator: OperatorProcess) -> float:
    """How many alarms the operator has counted."""
    name = "learnops_drift_alarms_total "
    (found,) = (it for it in operator.metrics().splitlines() if it.startswith(name))
    return float(found.removeprefix(name))

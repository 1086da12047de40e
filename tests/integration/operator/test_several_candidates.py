"""Several candidates at once, on the real API server and the real run log."""

import psycopg

from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.counted import exposed
from tests.integration.operator.latency import Latency
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    FAST,
    condition,
    first_policy,
    message,
    second_policy,
    serves,
    shares,
    wait_event,
    wait_stage,
    wait_status,
)

BOTH = [{"name": "planner-v2"}, {"name": "planner-v3"}]
AT_MOST: Json = {**FAST, "strategy": {"canary": {"steps": [50], "stepSeconds": 0}}}


def race(objects: Objects, **analysis: object) -> None:
    """A canary of planner-v2 and planner-v3 against planner-v1, with its first traffic."""
    first_policy(objects, rollout=AT_MOST)
    second_policy(objects)
    second_policy(objects, "planner-v3")
    judged = {**AT_MOST, "analysis": {**AT_MOST["analysis"], **analysis}}
    objects.canary(**judged, candidateRefs=BOTH)
    serves(objects, "planner-v1", "planner-v2", "planner-v3")


def test_the_bad_one_is_dropped_and_the_good_one_promoted(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    race(objects)
    told = objects.get("doers", "planner")["status"]
    assert shares(told) == [
        {"policy": "planner-v1", "percent": 34},
        {"policy": "planner-v2", "percent": 33},
        {"policy": "planner-v3", "percent": 33, "start": 33},
    ]
    losses = {"planner-v1": 0.4, "planner-v2": 0.75, "planner-v3": 0.4}
    agents = Agents(objects=objects, database=run_log, losses=losses)
    agents.until(lambda one: len(shares(one)) == 2, what="planner-v2 to be dropped")
    left = shares(objects.get("doers", "planner")["status"])
    assert left == [
        {"policy": "planner-v1", "percent": 67},
        {"policy": "planner-v3", "percent": 33, "start": 33},
    ]
    wait_stage(objects, "policies", "planner-v2", "Rejected")
    assert "planner-v2 is worse" in wait_event(objects, "c1", "CandidateDropped")["note"]

    losses["planner-v3"] = 0.1
    agents.until(lambda one: one.get("activePolicy") == "planner-v3", what="the promotion")
    told = wait_stage(objects, "canarydeployments", "c1", "Promoted")
    worse, better = told["candidates"]
    assert (worse["name"], worse["verdict"]) == ("planner-v2", "Rollback")
    assert (better["name"], better["verdict"]) == ("planner-v3", "Promote")
    assert float(worse["difference"]["low"]) > 0 >= float(better["difference"]["high"])
    # Each is tested at half of the level, and the first attempt at 0.6079 of that.
    assert worse["evidence"]["rollbackThreshold"] == "40"
    assert better["evidence"]["promoteThreshold"] == "65.8"
    wait_stage(objects, "policies", "planner-v3", "Active")
    wait_stage(objects, "policies", "planner-v1", "Archived")
    serves(objects, "planner-v3")


def test_other_weights_begin_a_generation_for_those_that_are_still_tried(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    race(objects)
    losses = {"planner-v1": 0.4, "planner-v2": 0.75, "planner-v3": 0.4}
    Agents(objects=objects, database=run_log, losses=losses).until(
        lambda one: len(shares(one)) == 2, what="planner-v2 to be dropped"
    )
    weights = {"spec": {"crl": {"weights": {"gatePassRate": "1", "securityCriticals": "3"}}}}
    objects.api.merge(objects.path("doers", "planner"), weights)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: one.get("generation") == 2 and one["candidates"][1].get("runs") == 0,
        what="the second generation, without a run",
    )
    dropped, judged = told["candidates"]
    assert (dropped["attempt"], dropped["verdict"]) == (1, "Rollback")
    assert (judged["attempt"], judged["verdict"]) == (2, "Continue")
    assert judged["evidence"]["promoteThreshold"] == "263.2"  # 65.8 for the first attempt
    note = wait_event(objects, "c1", "WeightsChanged")["note"]
    assert "generation 2 (attempt 2 of planner-v3)" in note
    assert "shares stay: planner-v3 33 %" in note
    with psycopg.connect(run_log) as connection:
        found = connection.execute(
            "SELECT c.policy, c.generation, c.attempt FROM rollout_candidates c"
            " JOIN shadow_deployments d ON d.id = c.rollout WHERE d.namespace = %s ORDER BY 2, 1",
            (objects.namespace,),
        ).fetchall()
    assert found == [("planner-v2", 1, 1), ("planner-v3", 1, 1), ("planner-v3", 2, 2)]


def test_a_query_is_asked_for_each_and_drops_the_one_that_breaches(
    stack: Stack, operator: OperatorProcess, objects: Objects
) -> None:
    latency = Latency(objects.namespace)
    latency.of = {"planner-v2": 3.25, "planner-v3": 1.5}
    with exposed(stack, latency.exposition, job=f"latency-{objects.namespace}"):
        own = f'latency{{namespace="{objects.namespace}",policy="$(candidate)"}}'
        guardrail = {"name": "p95", "promQL": own, "max": "2.5"}
        race(objects, guardrails=[guardrail])
        told = wait_status(
            objects,
            "canarydeployments",
            "c1",
            lambda one: (
                one["candidates"][0]["verdict"] == "Rollback"
                # A late answer of the target is none, and no breach either.
                and "value" in one["candidates"][1]["queries"][0]
                and condition(one, "Reconciling") == ("True", "Progressing")
            ),
            what="planner-v2 to be dropped, and planner-v3 to go on",
        )
        left = [it["policy"] for it in told["shares"]]
    slow, quick = (one["queries"][0] for one in told["candidates"])
    assert (slow["value"], slow["breaches"]) == ("3.25", 3)
    assert (quick["value"], quick["breaches"]) == ("1.5", 0)
    assert left == ["planner-v1", "planner-v3"]
    assert "planner-v2 breached" in wait_event(objects, "c1", "CandidateDropped")["note"]
    wait_stage(objects, "policies", "planner-v2", "Rejected")


def test_a_gateway_has_no_third_slot(operator: OperatorProcess, objects: Objects) -> None:
    gateway = {
        "router": "GatewayAPI",
        "routeRef": {"name": "planner"},
        "backends": ["blue", "green"],
    }
    judged = {"analysis": {**FAST["analysis"], "source": "Prometheus"}}
    objects.doer(rollout={**FAST, **judged}, traffic=gateway)
    for name in ("planner-v1", "planner-v2", "planner-v3"):
        objects.policy(name)
    objects.canary(candidateRefs=BOTH)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: condition(told, "Stalled")[0] == "True",
        what="the canary to be refused",
    )
    assert condition(told, "Stalled") == ("True", "InvalidSpec")
    assert "must name one policy" in message(told, "Stalled")

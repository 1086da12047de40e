"""Weights changed while a canary has traffic: judged anew, by the runs that come from then on."""

import psycopg

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    condition,
    set_run,
    wait_event,
    wait_stage,
    wait_status,
)

LOSSES = {"planner-v1": 0.5, "planner-v2": 0.5}


def reweigh(objects: Objects, **weights: str) -> None:
    """Change spec.crl.weights of the doer."""
    objects.api.merge(objects.path("doers", "planner"), {"spec": {"crl": {"weights": weights}}})


def in_generation(objects: Objects, number: int) -> Json:
    """Wait until the canary is judged in this generation, without a run yet."""
    return wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: one.get("generation") == number and one["candidates"][0].get("runs") == 0,
        what=f"generation {number}, without a run",
    )


def paused(objects: Objects) -> Json:
    """Wait until the canary holds because it is paused."""
    return wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: (
            one.get("recommendation") == "Hold"
            and condition(one, "Reconciling") == ("True", "Paused")
        ),
        what="the canary to be paused",
    )


def with_runs(objects: Objects) -> Json:
    """Wait until the canary's evidence holds runs of the candidate."""
    return wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: one["candidates"][0].get("runs", 0) > 0,
        what="the runs to be evidence",
    )


def recorded(objects: Objects, database: str) -> list[tuple[int, int, int]]:
    """Generations on record: number, first registration, attempt."""
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT g.generation, g.first_seq, c.attempt FROM rollout_generations g"
            " JOIN rollout_candidates c USING (rollout, generation)"
            " JOIN shadow_deployments d ON d.id = g.rollout WHERE d.namespace = %s"
            " ORDER BY g.generation",
            (objects.namespace,),
        ).fetchall()


def test_evidence_starts_over_at_the_next_attempt_and_new_runs_decide(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    by_hand(objects, rollout=HALF)
    # Clearly better by the old weights, but not promoted: that evidence must not count any more.
    set_run(objects, "Paused")
    paused(objects)
    before = Agents(
        objects=objects, database=run_log, losses={"planner-v1": 0.6, "planner-v2": 0.2}
    )
    before.work(runs=203)  # the last block stays incomplete
    old = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: one["candidates"][0]["verdict"] == "Promote",
        what="the old weights to show it better",
    )["candidates"][0]
    assert float(old["evidence"]["promote"]) > float(old["evidence"]["promoteThreshold"])

    reweigh(objects, gatePassRate="1", securityCriticals="3")
    in_generation(objects, 2)
    told = paused(objects)
    (candidate,) = told["candidates"]
    assert (told["stage"], told["shares"][1]["percent"]) == ("Canary", 50)
    assert (candidate["attempt"], candidate["verdict"]) == (2, "Hold")  # paused, not better
    evidence = candidate["evidence"]
    assert (evidence["promote"], evidence["rollback"]) == ("1", "1")
    assert evidence["promoteThreshold"] == "131.6"
    assert told["history"][-1]["reason"] == "WeightsChanged"
    assert "spec.crl changed" in wait_event(objects, "c1", "WeightsChanged")["note"]
    assert recorded(objects, run_log) == [(2, 204, 2)]

    set_run(objects, "Running")
    worse = Agents(objects=objects, database=run_log, losses={"planner-v1": 0.2, "planner-v2": 0.6})
    worse.until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
    (candidate,) = told["candidates"]
    assert float(candidate["loss"]) > 0.5, "no run of the old weights is in it"
    assert (told["generation"], candidate["attempt"]) == (2, 2)


def test_what_scores_alike_begins_nothing_and_each_way_back_does(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    by_hand(objects, rollout=HALF)
    Agents(objects=objects, database=run_log, losses=LOSSES).work(runs=40)
    with_runs(objects)
    generation = objects.get("doers", "planner")["metadata"]["generation"]
    reweigh(objects, contradictions="1.0", gatePassRate="1.00", grounding="0")
    wait_status(
        objects,
        "doers",
        "planner",
        lambda one: one["observedGeneration"] > generation,
        what="the operator to see the doer",
    )
    Agents(objects=objects, database=run_log, losses=LOSSES).work(runs=20)
    told = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda one: (
            one["candidates"][0].get("runs", 0) + one["candidates"][0].get("controlRuns", 0) == 60
        ),
        what="all runs to be evidence",
    )
    assert told["generation"] == 1
    reweigh(objects, grounding="1")
    in_generation(objects, 2)
    reweigh(objects, grounding="0")
    told = in_generation(objects, 3)
    assert told["candidates"][0]["attempt"] == 3
    assert [it["reason"] for it in told["history"]][-2:] == ["WeightsChanged"] * 2
    assert recorded(objects, run_log) == [(2, 61, 2), (3, 61, 3)]

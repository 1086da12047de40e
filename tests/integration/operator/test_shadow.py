"""The shadow stage, from the spec's field to gates, status and history."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from learnops.adapters.postgres.wakeups import CHANNEL
from testbed.kubeapi import Json
from testbed.waiting import wait_until
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    first_policy,
    record,
    second_policy,
    serves,
    wait_event,
    wait_stage,
    wait_status,
)
from tests.integration.operator.served import Served

_PAIR = """
WITH numbered AS (
    UPDATE shadow_deployments SET next_pair = next_pair + 1
    WHERE id = %(rollout)s AND ended_at IS NULL RETURNING next_pair - 1 AS seq
), pair AS (
    INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id, reported_loss, content_hash)
    SELECT %(rollout)s, seq, %(namespace)s, %(doer)s, %(rollout)s || '-p' || seq, %(candidate)s, ''
    FROM numbered RETURNING run_id
), run AS (
    INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, bundle,
                      content_hash)
    SELECT %(namespace)s, run_id, %(doer)s, 'planner-v1', 'control', 0, 1, '{}', '' FROM pair
)
SELECT run_id FROM pair
"""
_SCORE = """
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial)
VALUES (%s, %s, 0, %s, false)
"""


def shadowed(**shadow: Any) -> Json:
    """Half of the runs after a shadow stage."""
    return {**HALF, "strategy": {**HALF["strategy"], "shadow": {"minRuns": 30, **shadow}}}


@dataclass(kw_only=True)
class Pairs:
    """Agents that run a candidate beside control; `losses` are the means of each policy."""

    objects: Objects
    database: str
    losses: dict[str, float]
    _random: random.Random = field(default_factory=lambda: random.Random(11))

    def until(self, expected: Callable[[Json], bool], *, what: str) -> Json:
        """Run five more pairs at a time until the Doer's status is as expected; the status."""

        def tried() -> Json | None:
            status: Json = self.objects.get("doers", "planner")["status"]
            if expected(status):
                return status
            self.work(status["traffic"])
            return None

        return wait_until(tried, what=what, deadline_seconds=60)

    def work(self, traffic: Json, *, pairs: int = 5) -> None:
        """Some pairs, as the api writes them; none where nothing is in shadow."""
        if "shadow" not in traffic:
            return
        head = {
            "rollout": traffic["salt"],
            "namespace": self.objects.namespace,
            "doer": "planner",
        }
        with psycopg.connect(self.database) as connection:
            for _ in range(pairs):
                values = {**head, "candidate": self._loss("planner-v2")}
                found = connection.execute(_PAIR, values).fetchone()
                if found is not None:
                    loss = self._loss("planner-v1")
                    connection.execute(_SCORE, (head["namespace"], found[0], loss))
            connection.execute(
                "SELECT pg_notify(%s, %s)", (CHANNEL, f"{head['namespace']}/planner")
            )

    def _loss(self, policy: str) -> float:
        return min(max(self._random.gauss(self.losses[policy], 0.1), 0.0), 1.0)


def in_shadow(objects: Objects, **shadow: Any) -> Json:
    """A canary of planner-v2 in its shadow stage; the doer's traffic."""
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**shadowed(**shadow))
    wait_stage(objects, "canarydeployments", "c1", "Shadow")
    told = wait_stage(objects, "policies", "planner-v2", "Shadow")
    assert told.get("gates", []) == []
    traffic: Json = serves(objects, "planner-v1")["traffic"]
    assert traffic["shadow"] == "planner-v2"
    return traffic


def gates(told: Json) -> dict[str, str]:
    return {one["name"]: one["outcome"] for one in told["gates"]}


def test_enough_pairs_without_harm_lead_to_the_first_share_and_on_to_promotion(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    in_shadow(objects)
    losses = {"planner-v1": 0.6, "planner-v2": 0.2}
    pairs = Pairs(objects=objects, database=run_log, losses=losses)
    pairs.until(lambda one: len(one["traffic"]["shares"]) == 2, what="the first share")
    told = wait_stage(objects, "canarydeployments", "c1", "Canary")
    shadow = told["shadow"]
    assert shadow["outcome"] == "Passed"
    assert shadow["pairs"] >= 30
    assert float(shadow["harm"]) < float(shadow["harmThreshold"]) == 20
    difference = {name: float(it) for name, it in shadow["difference"].items()}
    assert difference["low"] <= difference["estimate"] <= difference["high"] < 0
    assert told["candidates"][0].get("runs", 0) == 0
    assert gates(wait_stage(objects, "policies", "planner-v2", "Canary")) == {"Shadow": "Passed"}
    wait_event(objects, "c1", "ShadowPassed")
    agents = Agents(objects=objects, database=run_log, losses=losses)
    agents.until(lambda one: one.get("activePolicy") == "planner-v2", what="the promotion")
    told = wait_stage(objects, "policies", "planner-v2", "Active")
    assert gates(told) == {"Shadow": "Passed", "Canary": "Passed"}
    moves = [stage for policy, stage in record(objects, run_log) if policy == "planner-v2"]
    assert moves == ["Shadow", "Canary", "Active"]


def test_harm_on_the_same_input_rejects_without_one_answer(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    with Served(objects) as served:
        in_shadow(objects, minRuns=1000)
        losses = {"planner-v1": 0.3, "planner-v2": 0.7}
        pairs = Pairs(objects=objects, database=run_log, losses=losses)
        pairs.until(lambda one: "shadow" not in one["traffic"], what="the candidate's end")
        told = wait_stage(objects, "canarydeployments", "c1", "RolledBack")
        served.wait([("planner-v1",)])
    assert told["recommendation"] == "Rollback"
    assert told["shadow"]["outcome"] == "Failed"
    assert told["shadow"]["pairs"] < 1000
    assert float(told["shadow"]["harm"]) >= 20
    assert told["history"][-1]["reason"] == "WorseInShadow"
    assert condition(told, "Ready") == ("True", "WorseInShadow")
    assert gates(wait_stage(objects, "policies", "planner-v2", "Rejected")) == {"Shadow": "Failed"}
    assert "worse on the same input" in wait_event(objects, "c1", "RolledBack")["note"]


def test_a_stage_without_pairs_in_time_is_inconclusive_and_rejects_nothing(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**shadowed(maxDurationSeconds=2))
    told = wait_stage(objects, "canarydeployments", "c1", "Inconclusive")
    assert "outcome" not in told["shadow"]
    assert "0 of 30 pairs" in told["history"][-1]["message"]
    wait_stage(objects, "policies", "planner-v2", "Draft")


def test_a_strategy_without_the_stage_says_so_in_the_gate(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**HALF)
    serves(objects, "planner-v1", "planner-v2")
    told = wait_status(
        objects, "policies", "planner-v2", lambda one: one.get("gates"), what="the gate"
    )
    assert gates(told) == {"Shadow": "Skipped"}

"""Weights that nobody wrote down, and terms that nobody reports, on the real servers."""

import json
from typing import Any

import psycopg

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    message,
    second_policy,
    serves,
    status,
    wait_event,
    wait_status,
)

_REPORT = """
WITH run AS (
    INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, bundle,
                      content_hash)
    SELECT %(namespace)s, %(prefix)s || n, %(doer)s, %(policy)s, 'control', 0, 1, '{}', ''
    FROM generate_series(1, %(runs)s) n RETURNING namespace, run_id
)
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial, breakdown)
SELECT namespace, run_id, 0, 0, false, %(breakdown)s FROM run
"""


def report(
    objects: Objects,
    database: str,
    prefix: str,
    *,
    runs: int,
    doer: str = "planner",
    policy: str = "planner-v1",
    **terms: Any,
) -> None:
    """Runs of the active policy, outside rollouts, that tell these terms."""
    values = {
        "namespace": objects.namespace,
        "prefix": prefix,
        "doer": doer,
        "policy": policy,
        "runs": runs,
        "breakdown": json.dumps({"terms": terms}),
    }
    with psycopg.connect(database) as connection:
        connection.execute(_REPORT, values)


def applied(objects: Objects, **spec: Any) -> None:
    """A doer and its first policy, as they are served."""
    objects.create("doers", "planner", {"policyRef": {"name": "planner-v1"}, **spec})
    objects.policy("planner-v1")
    serves(objects, "planner-v1")


def frozen(database: str, objects: Objects) -> list[Json]:
    """The weights of each rollout that was opened in the namespace."""
    query = "SELECT crl -> 'weights' FROM shadow_deployments WHERE namespace = %s"
    with psycopg.connect(database) as connection:
        return [row[0] for row in connection.execute(query, (objects.namespace,)).fetchall()]


def test_a_doer_without_weights_gets_those_that_its_runs_report(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    applied(objects, rollout=HALF)
    report(objects, run_log, "early", runs=5, grounding=0.1, contradictions=0.2)
    second_policy(objects)
    objects.canary(**HALF)
    waiting = wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: "5 of 20 runs of planner-v1" in told.get("waitingFor", ""),
        what="the canary to wait for runs",
    )
    assert condition(waiting, "Reconciling") == ("True", "WeightsUnknown")
    assert "crl" not in status(objects, "doers", "planner")
    report(objects, run_log, "more", runs=40, grounding=0.1, contradictions=0.2, latencyP95=0.3)
    serves(objects, "planner-v1", "planner-v2")
    told = status(objects, "doers", "planner")["crl"]
    # The first five did not tell their latency: 40 of 45 are 88.9 %.
    assert told["weights"] == {"contradictions": "1", "grounding": "1"}
    assert "at least 90 % of the last 45 runs of planner-v1" in told["why"]
    assert frozen(run_log, objects) == [told["weights"]]
    assert "contradictions, grounding" in wait_event(objects, "planner", "WeightsDecided")["note"]


def test_terms_that_nobody_reports_are_named_until_they_are(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    weights = {"grounding": "1", "securityCriticals": "1", "costOverBudget": "1"}
    applied(objects, crl={"weights": weights})
    report(objects, run_log, "silent", runs=30, grounding=0.1)
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda told: condition(told, "TermsMissing") == ("True", "NeverReported"),
        what="terms to be missing",
    )
    assert sorted(told["crl"]["missing"]) == ["costOverBudget", "securityCriticals"]
    said = message(told, "TermsMissing")
    assert 'set their weight to "0"' in said
    assert "spec.crl.budget.costUSD" in said
    change = {"spec": {"crl": {"weights": {"costOverBudget": "0"}}}}
    objects.api.merge(objects.path("doers", "planner"), change)
    report(objects, run_log, "telling", runs=30, grounding=0.1, securityCriticals=0.0)
    told = wait_status(
        objects,
        "doers",
        "planner",
        lambda told: condition(told, "TermsMissing") == ("False", "Reported"),
        what="no term to be missing",
    )
    assert told["crl"].get("missing", []) == []


def test_a_doer_with_few_runs_is_not_written_to(
    operator: OperatorProcess, objects: Objects, run_log: str
) -> None:
    applied(objects)
    before = objects.get("doers", "planner")["metadata"]["resourceVersion"]
    report(objects, run_log, "of-another-policy", runs=30, policy="planner-v0", grounding=0.1)
    report(objects, run_log, "few", runs=3, grounding=0.1)
    objects.create(
        "doers",
        "coder",
        {"policyRef": {"name": "coder-v1"}, "crl": {"weights": {"grounding": "1"}}},
    )
    objects.policy("coder-v1", doer="coder")
    serves(objects, "coder-v1", doer="coder")
    report(objects, run_log, "coder", runs=30, doer="coder", policy="coder-v1", grounding=0.1)
    wait_status(  # both are read by the same query
        objects,
        "doers",
        "coder",
        lambda told: condition(told, "TermsMissing") == ("False", "Reported"),
        what="the terms of coder to be read",
    )
    after = objects.get("doers", "planner")
    assert after["metadata"]["resourceVersion"] == before
    assert condition(after["status"], "TermsMissing") == ("", "")

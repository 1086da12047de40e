"""A canary that waits for weights goes on by itself once its doer, or the operator, has them."""

from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.conftest import Start
from tests.integration.operator.rollouts import (
    HALF,
    condition,
    second_policy,
    serves,
    shares,
    status,
    wait_stage,
    wait_status,
)
from tests.integration.operator.test_terms import applied, frozen, report

GUARDED = {**HALF["analysis"], "guardrails": [{"term": "securityCriticals"}]}


def guarded_canary(objects: Objects) -> None:
    """A canary on a term that says how a candidate may not differ."""
    second_policy(objects)
    objects.canary(strategy=HALF["strategy"], analysis=GUARDED)


def waits_for(objects: Objects, *, stalled: str, text: str) -> Json:
    """Wait until the canary says what it waits for, with this Stalled condition."""
    return wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: (
            condition(told, "Stalled")[0] == stalled and text in told.get("waitingFor", "")
        ),
        what=f"the canary to wait for: {text}",
    )


def decided(objects: Objects, *terms: str) -> None:
    """Wait until the operator has decided for these weights."""
    wait_status(
        objects,
        "doers",
        "planner",
        lambda told: told.get("crl", {}).get("weights") == dict.fromkeys(sorted(terms), "1"),
        what=f"the weights of {' and '.join(terms)}",
    )


def decided_before(objects: Objects, *terms: str) -> None:
    """What an operator with other defaults has left behind."""
    crl = {"weights": dict.fromkeys(terms, "1"), "why": "decided by an older version"}
    # A merge: null takes a weight away that this version has decided.
    crl["weights"] |= {term: None for term in _weights(objects) if term not in terms}
    objects.api.merge(f"{objects.path('doers', 'planner')}/status", {"status": {"crl": crl}})
    assert sorted(_weights(objects)) == sorted(terms)


def _weights(objects: Objects) -> Json:
    found: Json = status(objects, "doers", "planner").get("crl", {}).get("weights", {})
    return found


def went_on(objects: Objects) -> None:
    """The canary has its first traffic, and nobody has touched it."""
    serves(objects, "planner-v1", "planner-v2")
    told = wait_stage(objects, "canarydeployments", "c1", "Canary")
    assert condition(told, "Stalled")[0] != "True"
    assert objects.get("canarydeployments", "c1")["metadata"]["generation"] == 1


def test_weights_of_the_doer_let_it_go_on(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    start_operator()
    applied(objects, crl={"weights": {"grounding": "1"}})
    guarded_canary(objects)
    waits_for(objects, stalled="True", text="which spec.crl.weights of doer planner does not weigh")
    change = {"spec": {"crl": {"weights": {"securityCriticals": "2"}}}}
    objects.api.merge(objects.path("doers", "planner"), change)
    went_on(objects)
    assert frozen(migrated, objects) == [{"grounding": "1", "securityCriticals": "2"}]


def test_weights_written_where_the_defaults_left_a_term_out_let_it_go_on(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    start_operator()
    applied(objects)
    report(objects, migrated, "silent", runs=40, grounding=0.1)
    decided(objects, "grounding")
    guarded_canary(objects)
    waits_for(objects, stalled="True", text="which runs of doer planner do not report")
    change = {"spec": {"crl": {"weights": {"securityCriticals": "1"}}}}
    objects.api.merge(objects.path("doers", "planner"), change)
    went_on(objects)
    assert frozen(migrated, objects) == [{"securityCriticals": "1"}]


def test_an_operator_with_other_defaults_decides_anew_and_lets_it_go_on(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    old = start_operator()
    applied(objects)
    report(objects, migrated, "silent", runs=40, grounding=0.1)
    decided(objects, "grounding")
    guarded_canary(objects)
    waits_for(objects, stalled="True", text="which runs of doer planner do not report")
    old.stop()
    decided_before(objects, "grounding", "ragCoverage")
    report(objects, migrated, "telling", runs=200, grounding=0.1, securityCriticals=0.0)
    start_operator()
    went_on(objects)
    assert frozen(migrated, objects) == [{"grounding": "1", "securityCriticals": "1"}]


def test_what_other_defaults_decided_starts_no_canary(
    objects: Objects, start_operator: Start, migrated: str
) -> None:
    old = start_operator()
    applied(objects)
    report(objects, migrated, "silent", runs=40, grounding=0.1)
    decided(objects, "grounding")
    old.stop()
    decided_before(objects, "grounding", "securityCriticals")
    guarded_canary(objects)
    start_operator()
    waits_for(objects, stalled="True", text="which runs of doer planner do not report")
    assert _weights(objects) == {"grounding": "1"}
    assert [one["policy"] for one in shares(status(objects, "doers", "planner"))] == ["planner-v1"]
    assert frozen(migrated, objects) == []

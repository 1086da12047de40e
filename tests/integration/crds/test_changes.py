"""Rules about a change, on the real API server: what is fixed, and what in status only rises."""

from typing import Any

import pytest

from learnops.api.crdgen.render import RESOURCES
from learnops.api.crdgen.resource import root_schema
from testbed.kubeapi import ApiError, Json
from testbed.stack import Stack

GROUP = "/apis/learnops.dev/v1alpha1"
PLURALS = {"Doer": "doers", "Policy": "policies", "CanaryDeployment": "canarydeployments"}
SPECS: dict[str, Json] = {
    "Doer": {"policyRef": {"name": "p1"}, "crl": {"weights": {"grounding": "1"}}},
    "Policy": {
        "doerRef": {"name": "d"},
        "version": "1.0.0",
        "models": {"variants": [{"name": "small", "model": "m"}]},
    },
    "CanaryDeployment": {"doerRef": {"name": "d"}, "candidateRefs": [{"name": "p2"}]},
}
NEW_CANARY = "must not change: create a new CanaryDeployment for another "
NEW_POLICY = "must not change: create a new Policy instead"
FENCE = "must not be lower than before: a newer operator instance wrote this status"
SHARES = [{"policy": "p1", "percent": 90}, {"policy": "p2", "percent": 10}]
TRAFFIC: Json = {"revision": 7, "salt": "u.0", "active": "p1", "canary": "p2", "shares": SHARES}
OTHER_SHARES = [{"policy": "p1", "percent": 75}, {"policy": "p2", "percent": 25}]
HIGHER = "must be higher than before when what is served changes"
NOT_LOWER = "must not be lower than before: routers refuse an older revision"

REFUSED_SPECS = [
    ("Policy", {"version": "1.0.1"}, NEW_POLICY),
    ("Policy", {"parentRef": {"name": "p0"}}, NEW_POLICY),
    ("Policy", {"models": None}, NEW_POLICY),
    ("Policy", {"models": {"variants": [{"name": "small", "model": "n"}]}}, NEW_POLICY),
    ("CanaryDeployment", {"doerRef": {"name": "e"}}, NEW_CANARY + "doer"),
    ("CanaryDeployment", {"candidateRefs": [{"name": "p3"}]}, NEW_CANARY + "candidate"),
    ("CanaryDeployment", {"strategy": {"canary": {"steps": [50]}}}, NEW_CANARY + "strategy"),
    ("CanaryDeployment", {"analysis": {"maxRuns": 50}}, NEW_CANARY + "analysis"),
    ("CanaryDeployment", {"analysis": {"rollback": {"tolerance": "0"}}}, NEW_CANARY + "analysis"),
]
ACCEPTED_SPECS = [
    ("Doer", {"policyRef": {"name": "p2"}}),
    ("Doer", {"rollout": {"analysis": {"maxRuns": 5000}}}),
    ("CanaryDeployment", {"run": "Paused"}),
    ("CanaryDeployment", {"action": {"type": "Abort", "id": "1"}}),
]
NO_WEIGHT = 'must give at least one term a weight above "0"'
NO_DECIMAL = 'must be a decimal of at least 0 as text with at most 6 decimal places, e.g. "1.5"'
REFUSED_STATUSES = [
    ("Doer", {"fence": 4}, {"fence": 3}, FENCE),
    ("Doer", {"fence": 4}, {"fence": None}, FENCE),
    ("Policy", {"fence": 4}, {"fence": 3}, FENCE),
    ("CanaryDeployment", {"fence": 4}, {"fence": 3}, FENCE),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"revision": 6}}, NOT_LOWER),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"shadow": "p2"}}, HIGHER),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"shares": OTHER_SHARES}}, HIGHER),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"salt": "u.1"}}, HIGHER),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"canary": None}}, HIGHER),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"active": "p2"}}, HIGHER),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": None}, "must not be removed: routers follow it"),
    (
        "Doer",
        {},
        {"traffic": {**TRAFFIC, "shares": SHARES[:1]}},
        "must have shares that are 100 percent together",
    ),
    ("Doer", {}, {"crl": {"weights": {"grounding": "0"}}}, NO_WEIGHT),
    ("Doer", {}, {"crl": {"weights": {"grounding": "much"}}}, NO_DECIMAL),
    ("Doer", {}, {"crl": {"missing": ["No term"]}}, "must be a camelCase word, e.g. toxicity"),
]
ACCEPTED_STATUSES = [
    ("Doer", {"fence": 4}, {"fence": 4}),
    ("Doer", {}, {"fence": 1}),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"revision": 8, "shares": OTHER_SHARES}}),
    ("Doer", {"traffic": TRAFFIC}, {"observedGeneration": 2}),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"revision": 9}}),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"activeBackend": "blue"}}),
    ("Doer", {"traffic": TRAFFIC}, {"traffic": {"routedRevision": 7}}),
    ("Doer", {}, {"crl": {"weights": {"grounding": "1"}, "why": "", "missing": ["toxicity"]}}),
    ("Policy", {"fence": 4}, {"fence": 5, "stage": "Active"}),
    ("CanaryDeployment", {"fence": 4, "shares": SHARES}, {"shares": OTHER_SHARES}),
]


def create(crds: Stack, namespace: str, kind: str, status: Json | None = None) -> str:
    """Make an object with this status; returns its path."""
    path = f"{GROUP}/namespaces/{namespace}/{PLURALS[kind]}"
    body = {"apiVersion": "learnops.dev/v1alpha1", "kind": kind, "metadata": {"name": "it"}}
    crds.plane.api.create(path, {**body, "spec": SPECS[kind]})
    if status:
        crds.plane.api.merge(f"{path}/it/status", {"status": status})
    return f"{path}/it"


@pytest.mark.parametrize(("kind", "change", "message"), REFUSED_SPECS)
def test_refused_change_of_spec(
    crds: Stack, namespace: str, kind: str, change: Json, message: str
) -> None:
    path = create(crds, namespace, kind)
    with pytest.raises(ApiError) as refused:
        crds.plane.api.merge(path, {"spec": change})
    assert refused.value.status == 422
    assert message in refused.value.message


@pytest.mark.parametrize(("kind", "change"), ACCEPTED_SPECS)
def test_accepted_change_of_spec(crds: Stack, namespace: str, kind: str, change: Json) -> None:
    path = create(crds, namespace, kind)
    before = crds.plane.api.get(path)["metadata"]["generation"]
    after = crds.plane.api.merge(path, {"spec": change})
    assert after["metadata"]["generation"] == before + 1


@pytest.mark.parametrize("kind", SPECS)
def test_the_same_manifest_again_changes_nothing(crds: Stack, namespace: str, kind: str) -> None:
    path = create(crds, namespace, kind)
    before = crds.plane.api.get(path)["metadata"]["resourceVersion"]
    after = crds.plane.api.merge(path, {"spec": SPECS[kind]})
    assert after["metadata"]["resourceVersion"] == before


@pytest.mark.parametrize(("kind", "status", "change", "message"), REFUSED_STATUSES)
def test_refused_change_of_status(
    crds: Stack, namespace: str, kind: str, status: Json, change: Json, message: str
) -> None:
    path = create(crds, namespace, kind, status)
    with pytest.raises(ApiError) as refused:
        crds.plane.api.merge(f"{path}/status", {"status": change})
    assert refused.value.status == 422
    assert message in refused.value.message


@pytest.mark.parametrize(("kind", "status", "change"), ACCEPTED_STATUSES)
def test_accepted_change_of_status(
    crds: Stack, namespace: str, kind: str, status: Json, change: Json
) -> None:
    path = create(crds, namespace, kind, status)
    after = crds.plane.api.merge(f"{path}/status", {"status": change})
    assert {key: after["status"][key] for key in change if key != "traffic"} == {
        key: value for key, value in change.items() if key != "traffic"
    }
    assert change.get("traffic", {}).items() <= after["status"].get("traffic", {}).items()


def test_status_is_no_part_of_the_object_a_user_writes(crds: Stack, namespace: str) -> None:
    path = create(crds, namespace, "Policy")
    after = crds.plane.api.merge(path, {"status": {"stage": "Active"}})
    assert "status" not in after


def test_each_rule_about_a_change_or_a_status_is_tested() -> None:
    tested = {case[-1] for case in (*REFUSED_SPECS, *REFUSED_STATUSES)}
    found = {
        rule["message"]
        for model in RESOURCES
        for part in ("spec", "status")
        for rule in _rules(root_schema(model)["properties"][part])
        if part == "status" or "oldSelf" in rule["rule"]
    }
    assert found == tested


def _rules(schema: dict[str, Any]) -> list[dict[str, str]]:
    rules = list(schema.get("x-kubernetes-validations", []))
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        rules += _rules(inner) if inner else []
    return rules

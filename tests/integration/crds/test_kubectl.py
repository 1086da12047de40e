"""What a person sees with kubectl: the list, the columns, the explanations, the examples."""

from pathlib import Path

import pytest
import yaml

from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.integration.crds.test_changes import create

EXAMPLES = Path(__file__).parents[3] / "examples"
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def table(crds: Stack, namespace: str, what: str) -> list[list[str]]:
    """Rows of `kubectl get`, header first, without the age; columns are two spaces apart."""
    said = crds.plane.kubectl("get", what, f"--namespace={namespace}").stdout
    return [line.split()[:-1] for line in said.splitlines() if line]


def test_get_learnops_lists_all_three_with_their_columns(crds: Stack, namespace: str) -> None:
    traffic = {"revision": 3, "active": "p1", "shares": [{"policy": "p1", "percent": 100}]}
    doer: Json = {"activePolicy": "p1", "currentRollout": "it", "traffic": traffic}
    create(crds, namespace, "Doer", {**doer, "conditions": [READY]})
    create(crds, namespace, "Policy", {"stage": "Active", "conditions": [READY]})
    canary = {"stage": "Canary", "recommendation": "Continue", "waitingFor": "evidence"}
    create(crds, namespace, "CanaryDeployment", canary)
    rows = table(crds, namespace, "learnops")
    assert rows == [
        ["NAME", "DOER", "CANDIDATE", "STAGE", "VERDICT", "WAITING", "FOR"],
        ["canarydeployment.learnops.dev/it", "d", "p2", "Canary", "Continue", "evidence"],
        ["NAME", "ACTIVE", "ROLLOUT", "REVISION", "READY", "REASON"],
        ["doer.learnops.dev/it", "p1", "it", "3", "True", "Serving"],
        ["NAME", "DOER", "VERSION", "STAGE", "PARENT", "READY"],
        ["policy.learnops.dev/it", "d", "1.0.0", "Active", "True"],
    ]


@pytest.mark.parametrize(
    ("short", "kind"), [("doer", "Doer"), ("lpol", "Policy"), ("lcanary", "CanaryDeployment")]
)
def test_short_names(crds: Stack, namespace: str, short: str, kind: str) -> None:
    create(crds, namespace, kind)
    assert table(crds, namespace, short)[1][0] == "it"


def test_explain_tells_what_a_field_is(crds: Stack) -> None:
    said = " ".join(crds.plane.kubectl("explain", "doer.spec.crl").stdout.split())
    assert "How a run is scored" in said
    assert "weights <Object> Weight of each term." in said


def test_defaults_are_shown_and_only_those_in_force(crds: Stack, namespace: str) -> None:
    spec = crds.plane.api.get(create(crds, namespace, "Doer"))["spec"]
    assert spec["traffic"] == {"router": "SDK"}
    assert spec["rollout"]["strategy"]["canary"]["steps"] == [5, 10, 25, 50]
    assert spec["rollout"]["analysis"]["rollback"] == {"level": "0.05"}
    assert "budget" not in spec["crl"]


def test_a_policy_is_stored_as_it_was_written(crds: Stack, namespace: str) -> None:
    stored = crds.plane.api.get(create(crds, namespace, "Policy"))["spec"]
    assert stored == {
        "doerRef": {"name": "d"},
        "version": "1.0.0",
        "models": {"variants": [{"name": "small", "model": "m"}]},
    }


@pytest.mark.parametrize("example", ["quickstart", "demo", "gateway"])
def test_examples_are_accepted(crds: Stack, namespace: str, example: str) -> None:
    rendered = crds.plane.kubectl("kustomize", str(EXAMPLES / example)).stdout
    objects = [each for each in yaml.safe_load_all(rendered) if each["kind"] != "Namespace"]
    for each in objects:
        each["metadata"]["namespace"] = namespace
    assert {"Doer", "Policy"} <= {each["kind"] for each in objects}
    said = crds.plane.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(objects)).stdout
    assert said.count(" created") == len(objects)


def test_the_demo_decides_within_seconds(crds: Stack) -> None:
    rendered = crds.plane.kubectl("kustomize", str(EXAMPLES / "demo")).stdout
    doers = [each for each in yaml.safe_load_all(rendered) if each["kind"] == "Doer"]
    sources = {each["metadata"]["name"]: each["spec"]["rollout"] for each in doers}
    assert {name: it["analysis"]["source"] for name, it in sources.items()} == {
        "planner": "RunLog",
        "coder": "Prometheus",
        "reviewer": "RunLog",
    }
    for rollout in sources.values():
        assert rollout["strategy"]["canary"]["stepSeconds"] == 2
        assert rollout["analysis"]["maturationSeconds"] == 5

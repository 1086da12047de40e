"""Conditions that act writes by itself, and parsing that names the field."""

from datetime import UTC, datetime
from typing import Any

from learnops.api.doer import Doer
from learnops.api.policy import Policy
from learnops.app.conditions import differs, invalid, with_condition
from learnops.app.parse import parse
from learnops.domain.observed import InvalidObject

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_transition_time_moves_with_the_value_only() -> None:
    first = with_condition(
        {}, kind="Stalled", value="True", reason="Forbidden", message="a", now=EARLY
    )
    same = with_condition(
        first, kind="Stalled", value="True", reason="Forbidden", message="b", now=LATE
    )
    other = with_condition(first, kind="Stalled", value="False", reason="Ok", message="", now=LATE)
    assert same["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert other["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


def test_who_wrote_and_when_is_no_difference() -> None:
    left = invalid({"fence": 1}, message="m", generation=2, now=EARLY)
    right = {**left, "fence": 2}
    right["conditions"] = [{**one, "lastTransitionTime": "x"} for one in right["conditions"]]
    assert not differs(left, right)
    assert differs(left, {**right, "observedGeneration": 3})
    assert differs(left, {**right, "conditions": []})


def test_an_invalid_object_keeps_what_its_status_held() -> None:
    status = invalid({"digest": "v1:x"}, message="spec.version: bad", generation=3, now=EARLY)
    assert status["digest"] == "v1:x"
    said = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert said == {
        "Ready": ("False", "InvalidSpec"),
        "Reconciling": ("False", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    }


def raw_policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {
            "name": "p",
            "namespace": "n",
            "uid": "u",
            "generation": 2,
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"doerRef": {"name": "planner"}, "version": "1.0.0", **spec},
    }


def test_an_unreadable_object_names_the_field_and_not_its_content() -> None:
    found = parse(Policy, raw_policy(version="hunter2", surprise=1))
    assert isinstance(found, InvalidObject)
    assert "spec.version" in found.message
    assert "spec.surprise" in found.message
    assert "hunter2" not in found.message
    assert (found.generation, found.resource_version, found.reported) == (2, "7", False)


def test_a_reported_object_is_known_as_reported_until_it_changes() -> None:
    raw = raw_policy(version="nonsense")
    found = parse(Policy, raw)
    assert isinstance(found, InvalidObject)
    raw["status"] = invalid({}, message=found.message, generation=2, now=EARLY)
    again = parse(Policy, raw)
    assert isinstance(again, InvalidObject)
    assert again.reported
    raw["metadata"]["generation"] = 3
    changed = parse(Policy, raw)
    assert isinstance(changed, InvalidObject)
    assert not changed.reported


def test_what_a_newer_operator_added_to_a_status_is_let_through() -> None:
    raw = {**raw_policy(), "status": {"stage": "Draft", "fromTheFuture": True}}
    found = parse(Policy, raw)
    assert isinstance(found, Policy)
    doer = {**raw, "kind": "Doer", "spec": {}}
    missing = parse(Doer, doer)
    assert isinstance(missing, InvalidObject)
    assert "spec.policyRef: Field required" in missing.message

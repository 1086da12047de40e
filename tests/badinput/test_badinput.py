"""One malformed resource per rule: the real API server refuses it with exactly these words."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from learnops.api.crdgen.render import RESOURCES
from learnops.api.crdgen.resource import root_schema
from testbed.stack import Stack

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.yaml"))


def expected(case: Path) -> str:
    return case.with_suffix(".expected").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_api_server_refuses_it_in_these_words(crds: Stack, namespace: str, case: Path) -> None:
    said = crds.plane.kubectl(
        "apply", "--dry-run=server", f"--namespace={namespace}", "--filename=-",
        stdin=case.read_text(encoding="utf-8"), check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr == expected(case)


def test_each_rule_has_its_case() -> None:
    shown = "".join(expected(case) for case in CASES)
    messages = {rule["message"] for model in RESOURCES for rule in rules_of_spec(model)}
    assert len(messages) > 5
    assert [message for message in sorted(messages) if message not in shown] == []


def rules_of_spec(model: Any) -> list[dict[str, str]]:
    """The rules that a new object can break: not those of status, nor those about a change."""
    schema = root_schema(model)
    found = schema.get("x-kubernetes-validations", []) + rules_in(schema["properties"]["spec"])
    return [rule for rule in found if "oldSelf" not in rule["rule"]]


def rules_in(schema: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = list(schema.get("x-kubernetes-validations", []))
    for inner in (*schema.get("properties", {}).values(), schema.get("items", {})):
        if inner:
            found += rules_in(inner)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_model_refuses_it_too_and_names_the_same_rule(case: Path) -> None:
    resource = yaml.safe_load(case.read_text(encoding="utf-8"))
    server_fills_in = {"namespace": "n", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    resource["metadata"] |= server_fills_in
    model = next(model for model in RESOURCES if model.__name__ == resource["kind"])
    with pytest.raises(ValidationError) as refused:
        model.model_validate(resource)
    shown = expected(case)
    for rule in rules_of_spec(model):
        # Its fields come first: where one is wrong, pydantic does not try the rules around it.
        if rule["message"] in shown and "in body should" not in shown:
            assert rule["message"] in str(refused.value)

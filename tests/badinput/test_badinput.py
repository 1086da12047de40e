"""One malformed resource per rule: the real API server refuses it with exactly these words."""

from pathlib import Path
from typing import Any

import pytest

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

"""The alerting rules: each is tested by promtool, has a runbook, and asks for series that exist."""

from typing import Any

import pytest
import yaml

from tests.monitoring import ROOT, RULES, names_in, of_api, of_operator, promtool

TESTS = ROOT / "tests" / "alerts" / "rules.test.yaml"
SEVERITIES = {"page", "ticket", "info"}


def rules() -> list[dict[str, Any]]:
    return [one for group in yaml.safe_load(RULES.read_text())["groups"] for one in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [one for one in rules() if "alert" in one]


def test_the_rules_are_well_formed() -> None:
    code, told = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert code == 0, told


def test_each_fires_when_it_must_and_only_then() -> None:
    code, told = promtool("test", "rules", str(TESTS))
    assert code == 0, told


@pytest.mark.parametrize("alert", [one["alert"] for one in alerts()])
def test_each_is_tested_both_ways(alert: str) -> None:
    """promtool says nothing of a rule that no test mentions."""
    expected = [
        bool(case.get("exp_alerts"))
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert set(expected) == {True, False}


@pytest.mark.parametrize("rule", alerts(), ids=lambda one: str(one["alert"]))
def test_each_has_a_severity_and_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    page = ROOT / rule["annotations"]["runbook"]
    assert page.read_text().startswith(f"# {rule['alert']}\n")
    assert "**Means.**" in page.read_text()


def test_each_runbook_has_its_alert() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("Learnops*.md")}
    assert pages == {one["alert"] for one in alerts()}


def test_all_series_exist() -> None:
    exposed = {name for one in (*of_api(), *of_operator()) for name in one.series}
    asked = {name for one in rules() for name in names_in(one["expr"])}
    assert asked
    assert asked <= exposed

"""Names that a page says are names that exist: metrics, variables, targets of make, files."""

import re

import pytest

from tests.monitoring import RULES, of_api, of_operator
from tests.unit.docs.pages import ROOT, Page, living

_METRIC = re.compile(r"\blearnops_[a-z_]+\b\*?")
_VARIABLE = re.compile(r"\bLEARNOPS_[A-Z_]+\b")
_TARGET = re.compile(r"\bmake ([a-z][a-z-]*)\b")
_FILE = re.compile(r"[\w./-]+/[\w.-]+\.(?:py|md|yaml|yml|json|sql|txt|ndjson|csv|lock)")
# The channel of wake-ups, and a metric of somebody's agent is theirs.
_CHANNELS = {"learnops_evidence"}
_CODE = ("operator", "testbed", "tests")
_ROOTS = (ROOT, ROOT / "operator/learnops")


def sources(*folders: str) -> str:
    files = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@pytest.fixture(scope="module")
def series() -> set[str]:
    described = [*of_api(), *of_operator()]
    return {it for one in described for it in (*one.series, one.name)}


@pytest.mark.parametrize("page", living(), ids=lambda it: it.name)
def test_metrics_exist(page: Page, series: set[str]) -> None:
    for name in set(_METRIC.findall(page.text)) - _CHANNELS:
        if name.endswith(("_", "_*")):
            begin = name.rstrip("*")
            assert any(one.startswith(begin) for one in series), name
        else:
            assert name in series, name


def test_variables_of_the_environment_exist_and_are_told() -> None:
    """All that a process of the product reads, a page names; and no page names another."""
    told = {name for page in living() for name in _VARIABLE.findall(page.text)}
    assert told <= set(_VARIABLE.findall(sources(*_CODE)))
    read = set(re.findall(r'"(LEARNOPS_[A-Z_]+)"', sources("operator")))
    assert len(read) > 10
    assert read - told == set()


@pytest.mark.parametrize("page", living(), ids=lambda it: it.name)
def test_targets_of_make_exist(page: Page) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))
    code = "\n".join([*page.words(), *(block.code for block in page.blocks())])
    assert set(_TARGET.findall(code)) <= targets


@pytest.mark.parametrize("page", living(), ids=lambda it: it.name)
def test_files_exist(page: Page) -> None:
    for word in page.words():
        if _FILE.fullmatch(word) and not word.startswith(("/", ".", "~")):
            assert any((root / word).exists() for root in _ROOTS), word


def test_golden_stories_exist() -> None:
    """docs/limits.md calls them by name."""
    stories = {path.stem for path in (ROOT / "tests/golden/planner/stories").glob("*.txt")}
    rows = [it for it in (ROOT / "docs/limits.md").read_text().splitlines() if "golden stor" in it]
    named = {name for row in rows for name in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", row)}
    assert len(named) > 5
    assert named <= stories


def test_alerts_that_pages_name_exist() -> None:
    rules = RULES.read_text()
    for page in living():
        for alert in set(re.findall(r"\bLearnops[A-Z]\w+", page.text)):
            assert f"alert: {alert}\n" in rules, (page.name, alert)

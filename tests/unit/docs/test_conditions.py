"""docs/reference/conditions.md has each reason and Event of the operator, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from learnops.app.refusal import RefusalReason
from learnops.domain.unavailable import ErrorReason
from tests.unit.docs.pages import ROOT, Page

PAGE = Page(path=ROOT / "docs/reference/conditions.md")
PLANNER = ROOT / "operator/learnops/domain/planner"
RULING = ROOT / "operator/learnops/domain/evidence/ruling.py"
_WORD = re.compile(r"[A-Z][A-Za-z]*[a-z]")
# Words of the planner that are no reasons: kinds, types of conditions and of Events, and what is
# told as Progressing (AnswerAwaited).
_OTHERS = {
    *("Doer", "Policy", "CanaryDeployment", "Needs", "Normal", "Warning", "True", "False"),
    *("Ready", "Reconciling", "Stalled", "SpecBehind", "TermsMissing", "Drifting"),
    *("EvidenceAvailable", "Bug", "AnswerAwaited"),
}
# What an API server refuses ends in a condition too.
_REFUSALS = {it.value for it in RefusalReason}
_EVENT_SECTION = "\n## Events\n"


def said(*paths: Path) -> set[str]:
    """The CamelCase words that stand as texts in these files."""
    return {
        node.value
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _WORD.fullmatch(node.value)
    }


def cells(text: str, *, column: int) -> Iterator[str]:
    """The words in backticks in a column of the tables."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield from re.findall(r"`([^`]+)`", line.split("|")[column + 1])


def in_the_code() -> set[str]:
    words = said(*sorted(PLANNER.glob("*.py")), RULING)
    return (words - _OTHERS) | {it.value for it in ErrorReason} | _REFUSALS


def test_each_reason_is_on_the_page() -> None:
    written = {word for word in PAGE.words() if _WORD.fullmatch(word)}
    assert in_the_code() - written == set()


def test_the_page_makes_none_up() -> None:
    reasons, _, events = PAGE.text.partition(_EVENT_SECTION)
    listed = {*cells(reasons, column=0), *cells(reasons, column=1), *cells(events, column=0)}
    listed = {word for word in listed if _WORD.fullmatch(word)}
    assert len(listed) > 80
    assert listed - in_the_code() - _OTHERS - {"LowTraffic", "RouteDrifted"} == set()


def events_in_the_code() -> set[str]:
    """The second argument of each `draft.event(...)`, and the names that variables stand for."""
    found: set[str] = set()
    for path in sorted(PLANNER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "event":
                found |= {ast.unparse(node.args[1])}
    texts = {ast.literal_eval(it) for it in found if it.startswith("'")}
    variables = {it for it in found if not it.startswith("'")}
    assert variables == {"reason", "end.reason", "_EVENTS[end.stage]", "LOW_TRAFFIC"}
    return texts


def test_the_events_are_those_that_are_emitted() -> None:
    from learnops.domain.planner.canary_end import _EVENTS

    by_variable = {
        *("Held", "Paused", "RolloutStarted", "ShadowStarted", "LowTraffic"),
        *("CanaryDeleted", "CanaryInvalid", "RecordMended", *_EVENTS.values()),
    }
    assert by_variable <= in_the_code() | {"LowTraffic"}
    listed = set(cells(PAGE.text.partition(_EVENT_SECTION)[2], column=0))
    assert listed == events_in_the_code() | by_variable

"""Columns that are all but what a log must have: read, refused or named, and never lost."""

import csv
import io
import json
from pathlib import Path

import pytest

from learnops.cli.main import main

EXAMPLE = Path(__file__).parents[3] / "examples" / "evaluate"
CANARY = str(EXAMPLE / "canary.yaml")
MARK = b"\xef\xbb\xbf"
VERDICTS = {"better": "Promote", "worse": "Rollback", "broken-term": "Rollback"}


@pytest.fixture
def evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Exit code, verdicts by canary, standard error."""

    def of(content: bytes, *, piped: bool = False) -> tuple[int, dict[str, str], str]:
        (tmp_path / "runs").write_bytes(content)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        runs = "-" if piped else str(tmp_path / "runs")
        given = ["--canary", CANARY, "--runs", runs, "--control", "planner-v1", "-o", "json"]
        code = main(["evaluate", *given])
        said = capsys.readouterr()
        told = [json.loads(line) for line in said.out.splitlines()]
        return code, {it["canary"]: it["verdict"] for it in told}, said.err

    return of


def as_csv() -> bytes:
    return (EXAMPLE / "runs.csv").read_bytes()


def as_ndjson(*, canary: str = "canary") -> bytes:
    found = []
    for row in csv.DictReader(io.StringIO(as_csv().decode())):
        run = {canary: row["canary"], "arm": row["arm"], "propensity": float(row["propensity"])}
        terms = {"grounding": float(row["terms.grounding"])}
        found.append(json.dumps(run | {"loss": float(row["loss"]), "terms": terms}))
    return "\n".join(found).encode()


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize("log", [as_csv(), as_ndjson()], ids=["csv", "ndjson"])
def test_a_byte_order_mark_changes_no_verdict(evaluate, log: bytes, piped: bool) -> None:
    assert evaluate(MARK + log, piped=piped) == (0, VERDICTS, "")


@pytest.mark.parametrize("name", ["Canary", "CANARY", "can ary", "\u200bcanary"])
def test_a_column_that_is_all_but_canary_is_refused(evaluate, name: str) -> None:
    told = f"learnops evaluate: line 1: {name!r}: must be written canary\n"
    assert evaluate(as_csv().replace(b"canary", name.encode(), 1)) == (2, {}, told)
    assert evaluate(as_ndjson(canary=name)) == (2, {}, told)


def test_a_blank_around_a_column_is_no_part_of_it(evaluate) -> None:
    assert evaluate(as_csv().replace(b"canary,arm", b" canary , arm", 1)) == (0, VERDICTS, "")


def test_a_guardrails_column_in_capitals_is_refused(evaluate) -> None:
    told = "learnops evaluate: line 1: 'terms.Grounding': must be written terms.grounding\n"
    assert evaluate(as_csv().replace(b"terms.g", b"terms.G", 1)) == (2, {}, told)


def test_columns_that_are_not_read_are_named_once(evaluate) -> None:
    log = as_csv().replace(b"canary,arm", b"canaries,arm", 1).replace(b"\r\n", b",x\r\n")
    code, verdicts, said = evaluate(log.replace(b"grounding,x", b"grounding,note", 1))
    assert (code, list(verdicts)) == (0, [""])
    assert said == "learnops: columns that are not read: canaries, note\n"


def test_replay_reads_a_marked_log_and_refuses_capitals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["crl", "replay", "--weights", "grounding=1", "-q", "-o", "json", "--runs"]
    plain, marked, capital = (tmp_path / it for it in ("plain", "marked", "capital"))
    plain.write_bytes(as_csv())
    marked.write_bytes(MARK + as_csv())
    capital.write_bytes(as_csv().replace(b"terms.grounding", b"Terms.grounding", 1))
    assert main([*given, str(plain)]) == main([*given, str(marked)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert main([*given, str(capital)]) == 2
    assert "'Terms.grounding': must be written terms.grounding" in capsys.readouterr().err

"""Logs that are not what they should be end in a message, not in a traceback."""

import io
import json
import os
from pathlib import Path

import pytest

from learnops.cli import erasure
from learnops.cli.main import main

DOER = """
kind: Doer
metadata: {name: planner}
spec:
  crl:
    weights: {grounding: "1"}
"""
CANARY = """
kind: CanaryDeployment
metadata: {name: c1}
spec:
  doerRef: {name: planner}
  candidateRefs: [{name: planner-v2}]
"""
BUNDLE = json.dumps({"metrics": {"grounding": 0.5}}).encode() + b"\n"
ROW = b'{"arm": "control", "propensity": 0.5, "loss": 0.5, "terms": {"grounding": 0.5}}\n'
BROKEN = b'{"arm": "\xff"}\n'


@pytest.fixture
def files(tmp_path: Path):
    def of(runs: bytes) -> dict[str, str]:
        named = {"doer": DOER.encode(), "canary": CANARY.encode(), "runs": runs}
        for name, content in named.items():
            (tmp_path / name).write_bytes(content)
        return {name: str(tmp_path / name) for name in named}

    return of


@pytest.mark.parametrize("given", ["file", "standard input"])
def test_compute_names_a_line_that_is_not_utf8_and_scores_the_others(
    files, given: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = BUNDLE + BROKEN + BUNDLE
    at = files(content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    source = at["runs"] if given == "file" else "-"
    code = main(["crl", "compute", "--doer", at["doer"], "--bundles", source])
    said = capsys.readouterr()
    assert (code, len(said.out.splitlines())) == (2, 2)
    assert said.err.splitlines() == [
        "learnops crl compute: line 2: is not UTF-8",
        "2 scored, mean loss 0.500, 1 refused",
    ]


def test_replay_names_file_and_line(files, capsys: pytest.CaptureFixture[str]) -> None:
    at = files(ROW + ROW + BROKEN)
    assert main(["crl", "replay", "--weights", "grounding=1", "--runs", at["runs"], "-q"]) == 2
    assert capsys.readouterr().err == (f"learnops crl replay: {at['runs']}: line 3: is not UTF-8\n")


def test_evaluate_names_file_and_line(files, capsys: pytest.CaptureFixture[str]) -> None:
    at = files(b"arm,propensity,loss\ncontrol,0.5,0.5\n\xff,0.5,0.5\n")
    assert main(["evaluate", "--canary", at["canary"], "--runs", at["runs"]]) == 2
    assert capsys.readouterr().err == f"learnops evaluate: {at['runs']}: line 3: is not UTF-8\n"


@pytest.mark.parametrize("raised", [KeyError("getpwuid(): uid not found"), OSError("no name")])
def test_who_erases_is_told_by_uid_where_it_has_no_name(
    raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise raised

    monkeypatch.setattr("getpass.getuser", nameless)
    assert erasure._caller() == f"uid {os.getuid()}"

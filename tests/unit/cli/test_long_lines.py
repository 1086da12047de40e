"""A log without line ends, such as one array of all runs, costs no memory and is named."""

import io
import json
import tracemalloc
from pathlib import Path

import pytest

from learnops.cli.main import main

DOER = "kind: Doer\nspec: {crl: {weights: {grounding: '1'}}}\n"
CANARY = "kind: CanaryDeployment\nspec: {analysis: {}}\n"
BUNDLE = json.dumps({"metrics": {"grounding": 0.5}}).encode() + b"\n"
MANY = 64 * 2**20


class Endless(io.RawIOBase):
    """Some bytes, so many of one kind, and then others."""

    def __init__(self, begin: bytes, *, amount: int, end: bytes) -> None:
        self.parts = [begin, *[b" " * 2**16] * (amount // 2**16), end]
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into) -> int:  # type: ignore[no-untyped-def]
        if not self.parts:
            return 0
        part = self.parts.pop(0)
        size = min(len(into), len(part))
        into[:size] = part[:size]
        if size < len(part):
            self.parts.insert(0, part[size:])
        self.read_bytes += size
        return size


def given(source: Endless, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = io.TextIOWrapper(io.BufferedReader(source), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", wrapped)


def test_compute_refuses_the_line_and_scores_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "doer.yaml").write_text(DOER)
    given(Endless(BUNDLE + b"[", amount=MANY, end=b"]\n" + BUNDLE), monkeypatch)
    command = ["crl", "compute", "--doer", str(tmp_path / "doer.yaml")]
    tracemalloc.start()
    try:
        assert main(command) == 2
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert "line 2: has over 1,048,576 characters" in said.err
    assert most < MANY / 2


@pytest.mark.parametrize("command", ["evaluate", "replay"])
def test_who_decides_on_a_log_ends_at_the_line(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "canary.yaml").write_text(CANARY)
    row = b"arm,propensity,loss,terms.grounding\ncontrol,0.5,0.5,0.5\n"
    source = Endless(row, amount=MANY, end=b"\n")
    given(source, monkeypatch)
    arguments = {
        "evaluate": ["evaluate", "--canary", str(tmp_path / "canary.yaml"), "--runs", "-"],
        "replay": ["crl", "replay", "--weights", "grounding=1", "--runs", "-"],
    }[command]
    assert main(arguments) == 2
    told = "standard input: line 3: has over 2,097,152 characters: give one run a line\n"
    assert capsys.readouterr().err.endswith(told)
    assert source.read_bytes < MANY / 8

"""`learnops plan`: the table, the canary it reads, and what it says of a wrong argument."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from learnops.cli.main import main

FEW = ("--canaries", "5", "--difference=-0.2,0.2")
CANARY = """
kind: CanaryDeployment
spec:
  strategy: {canary: {steps: [50]}}
  analysis: {maxRuns: 1000, promote: {level: "0.01"}}
"""


@pytest.fixture
def plan(capsys):
    """Runs the command; exit code, output, error."""

    def run(*arguments):
        try:
            code = main(["plan", *arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_the_table_has_a_line_for_each_difference(plan):
    code, out, _ = plan(*FEW)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:2] == ["DIFFERENCE", "PROMOTED"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["-0.20", "100%", "0%"],
        ["+0.20", "0%", "100%"],
    ]


def test_json_tells_the_time_where_the_volume_is_given(plan):
    rows = json.loads(plan(*FEW, "-o", "json", "--runs-per-day", "1000")[1])
    assert rows[0]["days"]["median"] == rows[0]["runs"]["median"] / 1000
    assert "days" not in json.loads(plan(*FEW, "-o", "json")[1])[0]


def test_a_canary_gives_steps_levels_and_limits(plan, tmp_path):
    file = tmp_path / "canary.yaml"
    file.write_text(CANARY)
    _, out, _ = plan("--canary", str(file), "--canaries", "5", "--difference=0.0", "-o", "json")
    (row,) = json.loads(out)
    assert row["runs"]["median"] == 1000
    assert 400 < row["candidateRuns"]["median"] < 600


def test_a_later_attempt_takes_longer(plan):
    runs = [
        json.loads(
            plan("--canaries", "20", "--difference=-0.05", "-o", "json", "--attempt", it)[1]
        )[0]["runs"]["median"]
        for it in ("1", "20")
    ]
    assert runs[1] > runs[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--steps", "50,10"), "--steps: spec.strategy.canary.steps: must "),
        (("--steps", "x"), "argument --steps: x is not a whole number"),
        (("--difference=2",), "argument --difference: 2 are not differences between -1 and 1"),
        (("--mean", "1.5"), "mean is 1.5"),
        (("--deviation", "0.9"), "deviation is 0.9"),
        (("--runs-per-day", "0"), "argument --runs-per-day: 0 is not"),
        (("--canary", "/nowhere.yaml"), "/nowhere.yaml: cannot be read"),
    ],
)
def test_a_wrong_argument_is_named(plan, arguments, message):
    code, out, err = plan(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "{strategy: {canary: {steps: [50]}}, analysis: {method: FixedHorizon}}",
            "spec.analysis.method: must be Anytime: FixedHorizon takes maxRuns runs",
        ),
        (
            "{candidateRefs: [{name: a}, {name: b}], analysis: {}}",
            "spec.candidateRefs: must be one candidate",
        ),
    ],
)
def test_a_canary_that_cannot_be_foretold_is_refused(plan, tmp_path, spec, message):
    file = tmp_path / "canary.yaml"
    file.write_text(f"kind: CanaryDeployment\nspec: {spec}\n")
    code, out, err = plan("--canary", str(file))
    assert (code, out) == (2, "")
    assert message in err


def test_kubectl_finds_it_as_a_plugin():
    """The real kubectl; a plugin needs no cluster for this."""
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [tools / "kubectl", "learnops", "plan", *FEW],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert "DIFFERENCE" in done.stdout

"""The table of decisions: the same on any number of cores, and red where the engine is wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest

from bench.decisions import canaries, table
from bench.figure import Figure
from learnops.domain.evidence import levels


def figures(numbers, *, workers=1, seed=1):
    found = table.play(numbers, fast=True, seed=seed, workers=workers)
    return [figure for row in found.values() for figure in row]


def test_every_row_of_the_design_is_there():
    assert [row.number for row in table.ROWS] == list(range(1, 18))


def test_the_number_of_processes_changes_nothing_and_the_seed_does():
    alone = [it.to_dict() for it in figures([3, 12])]
    assert alone == [it.to_dict() for it in figures([3, 12], workers=2)]
    assert alone != [it.to_dict() for it in figures([3, 12], seed=2)]


def test_no_row_is_missed_in_small():
    """Row 14 is about the machine's time, which no test asserts."""
    found = figures([row.number for row in table.ROWS if row.number != 14], workers=2)
    assert [it.name for it in found if it.met is False and not it.unclear] == []
    assert len(found) > 50


def test_an_engine_that_promotes_too_easily_is_found_out(monkeypatch):
    monkeypatch.setattr(levels, "ATTEMPT_SHARE", 15.0)
    row = next(row for row in table.ROWS if row.number == 1)
    part = row.parts[1]
    found = part.say(part.play(np.random.default_rng(1), 60))
    promoted = next(it for it in found if it.name.endswith("promoted"))
    assert promoted.met is False


def test_a_canary_that_never_ends_has_no_run_number():
    called = canaries.Called(
        promoted=canaries.NEVER,
        rolled_back=30.0,
        futile=20.0,
        candidate_runs=4,
        culprit=None,
    )
    assert called.lost == 20.0


@pytest.mark.parametrize(
    ("value", "error", "bound", "unclear"),
    [(6.0, 1.0, 5.0, True), (8.0, 1.0, 5.0, False), (4.0, 1.0, 5.0, False)],
)
def test_a_bound_missed_within_the_error_is_unclear(value, error, bound, unclear):
    figure = Figure(name="x", value=value, unit="%", error=error, at_most=bound)
    assert figure.unclear is unclear
    assert Figure(name="x", value=-value, unit="%", error=error, at_least=-bound).unclear is unclear


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bench.decisions", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_prints_rows_for_programs():
    done = run("--fast", "--rows", "13,17", "-o", "json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert [row["row"] for row in told["rows"]] == [13, 17]
    assert told["rows"][0]["figures"][0]["met"] is True


@pytest.mark.parametrize("rows", ["99", "x", ""])
def test_a_row_that_is_not_there_is_named(rows):
    done = run("--rows", rows)
    assert done.returncode == 2
    assert "are not numbers of rows, 1 to 17" in done.stderr

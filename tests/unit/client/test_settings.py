"""Where bundles wait on disk, and what a bound may be."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from learnops.client.bounds import RANGES
from learnops.client.settings import Options, spool_folder


def test_the_default_is_the_users_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LEARNOPS_SPOOL")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert spool_folder(None) == tmp_path / "learnops" / "spool"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # the standard says to ignore it
    monkeypatch.setenv("HOME", "/home/someone")
    assert spool_folder(None) == Path("/home/someone/.local/state/learnops/spool")


def test_what_is_said_is_taken_and_an_argument_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEARNOPS_SPOOL", "/var/spool/learnops")
    assert spool_folder(None) == Path("/var/spool/learnops")
    assert spool_folder(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert spool_folder("here") == tmp_path / "here"


@pytest.mark.parametrize("off", ["", " ", "off", "OFF"])
def test_an_empty_spool_setting_or_off_means_no_folder(
    monkeypatch: pytest.MonkeyPatch, off: str
) -> None:
    monkeypatch.setenv("LEARNOPS_SPOOL", off)
    assert spool_folder(None) is None
    assert spool_folder(off) is None


def test_what_can_be_no_path_is_told_at_the_start() -> None:
    with pytest.raises(ValueError, match="which is no path; pass a folder, or 'off'"):
        spool_folder("a\0b")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a string": (
        {"registration_seconds": "0.1"},
        "options.registration_seconds is '0.1' and must be a number from 0 to 60",
    ),
    "none in a batch": (
        {"batch_runs": 0},
        "options.batch_runs is 0 and must be a whole number from 1 to 10000",
    ),
    "a number of runs as a string": (
        {"batch_runs": "500"},
        "options.batch_runs is '500' and must be a whole number from 1 to 10000",
    ),
    "half a run": (
        {"buffer_runs": 0.5},
        "options.buffer_runs is 0.5 and must be a whole number from 1 to 10000000",
    ),
    "a flag": (
        {"spool_seconds": True},
        "options.spool_seconds is True and must be a number from 0 to 60",
    ),
    "no number": (
        {"close_seconds": float("nan")},
        "options.close_seconds is nan and must be a number from 0 to 3600",
    ),
    "below zero": (
        {"signal_seconds": -1},
        "options.signal_seconds is -1 and must be a number from 0 to 86400",
    ),
    "nothing": (
        {"request_seconds": None},
        "options.request_seconds is None and must be a number from 0.1 to 600",
    ),
    "for ever": (
        {"first_snapshot_seconds": float("inf")},
        "options.first_snapshot_seconds is inf and must be a number from 0 to 3600",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bound_that_is_none_is_refused_by_its_name(case: str) -> None:
    given, message = WRONG[case]
    with pytest.raises(ValueError) as refused:
        Options(**given)
    assert str(refused.value) == message


def test_every_bound_has_a_range_and_its_ends_are_taken() -> None:
    assert [field.name for field in fields(Options)] == list(RANGES)
    for end in ("least", "most"):
        Options(**{name: getattr(bound, end) for name, bound in RANGES.items()})

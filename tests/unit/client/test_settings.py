"""Where bundles wait on disk."""

from pathlib import Path

import pytest

from learnops.client.settings import spool_folder


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
def test_off(monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    monkeypatch.setenv("LEARNOPS_SPOOL", off)
    assert spool_folder(None) is None
    assert spool_folder(off) is None


def test_what_can_be_no_path_is_told_at_the_start() -> None:
    with pytest.raises(ValueError, match="which is no path; pass a folder, or 'off'"):
        spool_folder("a\0b")

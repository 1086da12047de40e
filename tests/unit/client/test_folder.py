"""Folders of the spool that cannot be locked: nothing is left behind, and no other is hidden."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from learnops.client.folder import Owned, processes
from learnops.client.frames import Record
from learnops.client.store import Store, StoreLimits
from learnops.client.telemetry import Telemetry

WEEK = 7 * 86_400.0
LIMITS = StoreLimits(bytes=10_000, records=100, keep_seconds=WEEK)
RECORD = Record(path="/v1/runs:batch", body=b"{}")


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_file_system_without_locks_is_not_filled_with_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    store = Store(tmp_path / "spool", limits=LIMITS, telemetry=Telemetry())
    for _ in range(3):
        with pytest.raises(OSError, match="No locks available"):
            store.write([RECORD], loaded=True)
    assert list(processes(tmp_path / "spool")) == []


def test_a_disk_without_room_for_the_lock_is_not_filled_with_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: object, flags: int, *rest: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *rest)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left on device"):
        Owned.create(tmp_path / "spool")
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_folder_that_cannot_be_locked_hides_no_other(tmp_path: Path) -> None:
    killed = Store(tmp_path, limits=LIMITS, telemetry=Telemetry())
    killed.write([RECORD], loaded=True)
    killed.forget()
    # The first one in the order in which they are looked at: its lock is a folder.
    (tmp_path / ("0" * 32) / "lock").mkdir(parents=True)
    telemetry = Telemetry()
    assert Store(tmp_path, limits=LIMITS, telemetry=telemetry).adopt() == 1
    assert telemetry.counts()["spool_errors"] == 1


def test_what_is_deleted_unsent_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed = Store(tmp_path, limits=LIMITS, telemetry=Telemetry())
    killed.write([RECORD], loaded=True)
    killed.forget()
    (file,) = tmp_path.glob("*/*.seg")
    later = file.stat().st_mtime + WEEK + 1
    Store(tmp_path, limits=LIMITS, telemetry=Telemetry(), now=lambda: later).adopt()
    assert f"{file} is deleted unsent: over 7 days old" in caplog.text

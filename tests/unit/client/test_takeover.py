"""What ended processes left in the spool is taken over, and the living are left alone."""

import errno
import os
import time
from pathlib import Path

import pytest

from learnops.client.folder import Owned
from learnops.client.store import Store
from learnops.client.telemetry import Telemetry
from tests.unit.client.stores import LIMITS, drain, files, left, record, store


def test_an_ended_process_is_taken_over_and_its_folder_removed(tmp_path: Path) -> None:
    left(tmp_path, "a", "b", "c")
    assert len(files(tmp_path)) == 2
    taking = store(tmp_path)
    assert taking.adopt() == 2
    assert drain(taking) == ["a", "b", "c"]
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living, other = store(tmp_path), store(tmp_path)
    living.write([record("a")], loaded=True)
    assert other.adopt() == 0
    living.forget()
    assert other.adopt() == 1


def test_who_took_over_and_ends_leaves_it_to_the_next(tmp_path: Path) -> None:
    left(tmp_path, "a", "b", "c")
    first = store(tmp_path)
    first.adopt()
    segment = first.next_waiting()
    assert segment is not None
    segment.settle(len(first.load(segment)))
    first.close()
    last = store(tmp_path)
    last.adopt()
    assert drain(last) == ["c"]


def locks(folder: Path) -> int:
    """Locks of the spool that this process holds open."""
    found = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    return sum(each.startswith(f"{folder}/") for each in found)


def test_so_many_folders_are_taken_over_at_once(tmp_path: Path) -> None:
    names = [f"{number}" for number in range(40)]
    for name in names:
        left(tmp_path, name)
    taking = store(tmp_path)
    taken, most = [], 0
    while taking.adopt():
        most = max(most, locks(tmp_path))
        assert taking.more == (len(taken) < 32)
        assert taking.backlog == 16 + 1 if taking.more else 8
        taken += drain(taking)
    assert most == 16
    assert sorted(taken, key=int) == names
    assert list(tmp_path.iterdir()) == []


def test_folders_with_nothing_in_them_hold_up_no_others(tmp_path: Path) -> None:
    for _ in range(40):
        emptied = store(tmp_path)
        emptied.write([record("a")], loaded=True).settle(1)
        emptied.tidy()
        emptied.forget()
    left(tmp_path, "last")
    taking = store(tmp_path)
    found = []
    while taking.adopt():
        while (segment := taking.next_waiting()) is not None:
            found += taking.load(segment)
    assert [one.body for one in found] == [b"last"]


def test_a_file_that_cannot_be_read_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(tmp_path, "a")
    left(tmp_path, "b")
    now = 100.0
    taking = Store(tmp_path, limits=LIMITS, telemetry=Telemetry(), clock=lambda: now)
    assert taking.adopt() == 2
    unreadable = taking.next_waiting()
    assert unreadable is not None
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert taking.load(unreadable) == []
    assert taking.backlog == taking.unsettled == 2
    assert len(drain(taking)) == 1
    assert (taking.backlog, taking.resting_seconds()) == (1, 5.0)
    now += 5.0
    assert len(drain(taking)) == 1
    assert taking.backlog == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_can_never_be_read_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left(tmp_path, "a")
    now = 100.0
    taking = Store(tmp_path, limits=LIMITS, telemetry=Telemetry(), clock=lambda: now)
    taking.adopt()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        for _ in range(6):
            assert taking.backlog == 1
            assert drain(taking) == []
            now += 5.0
    assert taking.backlog == 0
    taking.close()
    again = store(tmp_path)
    again.adopt()
    assert drain(again) == ["a"]


def test_a_file_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    left(tmp_path, "a")
    taking = store(tmp_path)
    taking.adopt()
    for file in files(tmp_path):
        file.unlink()
    assert drain(taking) == []
    assert taking.backlog == 0


def refuse(_path: Path) -> bytes:
    raise OSError(errno.EMFILE, "too many open files")


def test_what_is_too_old_is_deleted(tmp_path: Path) -> None:
    left(tmp_path, "a", "b", "c")
    old = time.time() - 61
    os.utime(files(tmp_path)[0], (old, old))
    taking = store(tmp_path)
    assert taking.adopt() == 1
    assert drain(taking) == ["c"]
    assert list(tmp_path.iterdir()) == []


def test_a_half_made_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / ("0" * 32)).mkdir()
    assert store(tmp_path).adopt() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_version_stays_where_it_is(tmp_path: Path) -> None:
    owned = Owned.create(tmp_path)
    (owned.path / "note.txt").write_text("not ours")
    owned.remove()
    assert (owned.path / "note.txt").exists()

"""The spool's files: written, taken over, removed; full, damaged, cleaned up under us."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from learnops.client.folder import Owned, UnsafeFolderError, name_of, secure
from learnops.client.frames import Record
from learnops.client.letters import FILE, OLDER, DeadLetters, Letter
from learnops.client.store import Store, StoreLimits
from learnops.client.telemetry import Telemetry

LIMITS = StoreLimits(bytes=10_000, records=100, keep_seconds=60, segment_records=2)


def store(folder: Path, **limits: float) -> Store:
    given = StoreLimits(
        **{
            "bytes": LIMITS.bytes,
            "records": LIMITS.records,
            "keep_seconds": LIMITS.keep_seconds,
            "segment_records": LIMITS.segment_records,
            **limits,  # type: ignore[arg-type]
        }
    )
    return Store(folder, limits=given, telemetry=Telemetry())


def record(name: str) -> Record:
    return Record(path="/v1/runs:batch", body=name.encode())


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.seg"))


def left(folder: Path, *names: str) -> None:
    """What a killed process leaves: nothing was let go of in order."""
    killed = store(folder)
    for name in names:
        killed.write([record(name)], loaded=True)
    killed.forget()


def drain(taking: Store) -> list[str]:
    """The bodies of all that waits, settled at once."""
    found = []
    while (segment := taking.next_waiting()) is not None:
        records = taking.load(segment)
        segment.settle(len(records))
        found += [one.body.decode() for one in records]
    taking.tidy()
    return found


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


def test_settled_records_leave_an_empty_file_and_close_no_file(tmp_path: Path) -> None:
    writing = store(tmp_path)
    segment = writing.write([record("a")], loaded=True)
    assert writing.unsettled == 1
    segment.settle(1)
    writing.tidy()
    assert [file.stat().st_size for file in files(tmp_path)] == [0]
    writing.write([record("b")], loaded=True).settle(1)
    writing.close()
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "spool" / "agents.planner"
    store(folder).write([record("a")], loaded=True)
    DeadLetters(folder).add(Letter(record=record("a"), reason="x"))
    for each in (folder.parent, folder, *folder.rglob("*")):
        mode = stat.S_IMODE(each.stat().st_mode)
        assert mode == (0o700 if each.is_dir() else 0o600), each


def test_a_folder_that_others_may_look_into_is_closed_and_a_link_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    secure(open_to_all)
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(open_to_all)
    with pytest.raises(UnsafeFolderError, match="is a link or belongs to another user"):
        secure(tmp_path / "link")


def test_no_more_records_or_bytes_are_written_than_the_bounds_say(tmp_path: Path) -> None:
    by_number = store(tmp_path / "n", records=2)
    by_number.write([record("a"), record("b")], loaded=True)
    with pytest.raises(OSError, match="2 records are on disk") as refused:
        by_number.write([record("c")], loaded=True)
    assert refused.value.errno == errno.ENOSPC
    left(tmp_path / "b", "x" * 500)
    by_size = store(tmp_path / "b", bytes=500)
    with pytest.raises(OSError, match="bytes already"):
        by_size.write([record("a")], loaded=True)


def test_a_write_that_the_disk_refuses_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = store(tmp_path)
    writing.write([record("a")], loaded=True)
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: whole(file, data[:5]))
        with pytest.raises(OSError, match="only a part"):
            writing.write([record("b")], loaded=True)
    writing.write([record("c")], loaded=True)
    writing.forget()
    taking = store(tmp_path)
    taking.adopt()
    assert drain(taking) == ["a", "c"]


def test_damage_costs_what_comes_behind_it_and_the_file_is_kept(tmp_path: Path) -> None:
    left(tmp_path, "a", "b", "c")
    first = files(tmp_path)[0]
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(bytes(data))
    taking = store(tmp_path)
    taking.adopt()
    assert drain(taking) == ["a", "c"]
    (aside,) = (tmp_path / "damaged").iterdir()
    assert aside.read_bytes() == bytes(data)
    assert files(tmp_path) == [aside]
    again = store(tmp_path)
    assert again.adopt() == 0


def test_not_every_damaged_file_is_kept(tmp_path: Path) -> None:
    for number in range(20):
        left(tmp_path, f"{number}")
    for file in files(tmp_path):
        file.write_bytes(b"x" * 100)
    taking = store(tmp_path)
    assert taking.adopt() == 16
    assert drain(taking) == []
    assert taking.adopt() == 4
    assert drain(taking) == []
    assert len(list((tmp_path / "damaged").iterdir())) == 16


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


def test_a_folder_that_is_deleted_under_us_is_made_again(tmp_path: Path) -> None:
    writing = store(tmp_path)
    writing.write([record("a")], loaded=True)
    for file in tmp_path.glob("*/*"):
        file.unlink()
    for folder in tmp_path.iterdir():
        folder.rmdir()
    writing.write([record("b")], loaded=True)
    writing.forget()
    taking = store(tmp_path)
    taking.adopt()
    assert drain(taking) == ["b"]


def test_a_half_made_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / ("0" * 32)).mkdir()
    assert store(tmp_path).adopt() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_version_stays_where_it_is(tmp_path: Path) -> None:
    owned = Owned.create(tmp_path)
    (owned.path / "note.txt").write_text("not ours")
    owned.remove()
    assert (owned.path / "note.txt").exists()


def test_dead_letters_are_lines_in_two_bounded_files(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, max_bytes=200, now=lambda: 12.5)
    for number in range(30):
        letters.add(Letter(record=Record(path="/p", body=b'{"n":%d}' % number), reason="no rate"))
    last = (tmp_path / FILE).read_text().splitlines()[-1]
    assert last == (
        '{"time": 12.5, "path": "/p", "reason": "no rate", "bytes": 8, "body": {"n":29}}'
    )
    for name in (FILE, OLDER):
        assert 0 < (tmp_path / name).stat().st_size <= 300


def test_another_api_or_doer_has_another_folder() -> None:
    names = {
        name_of(api=api, namespace=namespace, doer=doer)
        for api in ("http://a", "http://b")
        for namespace, doer in (("x", "y"), ("x", "z"), ("x" * 200, "y" * 200))
    }
    assert len(names) == 6
    assert all(len(name) < 150 for name in names)

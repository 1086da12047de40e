"""The spool's files: written, full, damaged, cleaned up under us, and closed to others."""

import errno
import os
import stat
from pathlib import Path

import pytest

from learnops.client.folder import UnsafeFolderError, name_of, secure
from learnops.client.frames import Record
from learnops.client.letters import FILE, OLDER, DeadLetters, Letter
from tests.unit.client.stores import drain, files, left, record, store


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

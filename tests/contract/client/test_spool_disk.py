"""What goes wrong with the disk stays the SDK's: memory takes over, the agent waits for nothing."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from learnops.client import spools
from learnops.client.tickets import Pace
from tests.contract.client.learners import Connect, finish, ready
from tests.contract.client.spooled import RUNS, hanging, segments, serving
from tests.contract.client.stand_in import StandInApi
from tests.disks import mounted

UNUSABLE: dict[str, Callable[[Path], object]] = {
    "a file in the way": lambda spool: spool.write_text("x"),
    "a link to nowhere": lambda spool: spool.symlink_to("/nowhere/at/all"),
    "nobody may write": lambda spool: spool.symlink_to("/proc"),  # nor may root
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_folder_that_cannot_be_used_means_memory_and_one_line(
    api: StandInApi, connect: Connect, spool: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    UNUSABLE[kind](spool)
    learner = ready(connect())
    api.stop()
    runs = {finish(learner) for _ in range(5)}
    told = learner.stats()
    assert (told["bundles_unspooled"], told["bundles_waiting"]) == (5, 5)
    api.start()
    assert learner.flush(60)
    assert set(api.runs) == runs
    lines = [one.getMessage() for one in caplog.records if "spool" in one.getMessage()]
    assert len([one for one in lines if "cannot be written" in one]) == 1


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def test_a_disk_that_takes_no_more_means_memory_and_costs_nothing_written(
    api: StandInApi, connect: Connect
) -> None:
    api.stop()
    with serving(api.url, prelude=FULL) as limited:
        limited.finish(RUNS)
        told = limited.leave()
    # 1,000 bytes hold four bundles; the others were in memory, and lost with the process.
    api.start()
    learner = connect()
    api.wait_for(lambda: api.runs, "what was on disk")
    assert learner.flush(60)
    kept = len(api.runs)
    assert 0 < kept < 10
    assert set(api.runs) == set(RUNS[:kept])
    assert f"'bundles_unspooled': {len(RUNS) - kept}" in told
    assert f"'bundles_dropped': {len(RUNS) - kept}" in told


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    with mounted(tmp_path / "disk", options="size=64k,mode=0777") as at:
        yield at


def test_a_file_system_that_is_full_and_then_has_room_again(
    api: StandInApi, connect: Connect, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "Pace", partial(Pace, rest_seconds=0.1))
    learner = ready(connect(spool=small_disk / "spool"))
    api.stop()
    (small_disk / "other").write_bytes(b"x" * 60_000)
    runs = {finish(learner, qav={"told": "x" * 500}) for _ in range(50)}
    told = learner.stats()
    assert told["bundles_unspooled"] >= 25  # type: ignore[operator]
    assert told["bundles_waiting"] == 50
    api.start()
    assert learner.flush(60)
    assert set(api.runs) == runs
    (small_disk / "other").unlink()
    before = learner.stats()["bundles_spooled"]

    def spooled() -> bool:
        finish(learner)
        return learner.stats()["bundles_spooled"] > before  # type: ignore[operator]

    api.wait_for(spooled, "the disk to be used again")


def test_a_folder_that_is_deleted_costs_what_was_in_it_and_no_more(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    learner = ready(connect())
    api.stop()
    finish(learner, "a")
    for file in spool.rglob("*"):
        if file.is_file():
            file.unlink()
    for folder in sorted(spool.rglob("*"), reverse=True):
        folder.rmdir()
    finish(learner, "b")
    assert len(segments(spool)) == 1
    api.start()
    assert learner.flush(60)
    assert set(api.runs) == {"a", "b"}  # both in memory still


def test_a_damaged_file_is_moved_aside_and_named(
    api: StandInApi, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.stop()
    with serving(api.url) as killed:
        killed.finish(RUNS)
        killed.kill()
    (left,) = segments(spool)
    data = bytearray(left.read_bytes())
    data[len(data) // 2] ^= 0xFF
    left.write_bytes(bytes(data))
    api.start()
    learner = connect()
    finish(learner, "own")
    assert learner.flush(60)
    api.wait_for(lambda: len(api.runs) > 1, "the records before the damage")
    stored = [run for run in api.runs if run != "own"]
    assert 0 < len(stored) < len(RUNS)
    assert sorted(stored, key=RUNS.index) == RUNS[: len(stored)]
    api.wait_for(lambda: "the damaged file is kept as " in caplog.text, "the file to be moved")
    assert learner.stats()["spool_damaged"] == 1
    (aside,) = spool.glob("*/damaged/*.seg")
    assert "is damaged: " in caplog.text
    assert f"the damaged file is kept as {aside}" in caplog.text


def test_a_disk_that_hangs_holds_up_one_agent_once_and_no_bundle(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = ready(connect(options={"spool_seconds": 0.1}))
    answers = hanging(monkeypatch)
    began = time.monotonic()
    runs = {finish(learner) for _ in range(100)}
    assert 0.1 <= time.monotonic() - began < 8.0  # 100 waits would be 10 s
    assert learner.flush(60)  # also while it hangs
    assert set(api.runs) == runs
    assert learner.stats()["spool_stalls"] == 1
    answers.set()

    def spooled() -> bool:
        runs.add(finish(learner))
        return learner.stats().get("bundles_unspooled", 0) < len(runs)  # type: ignore[operator]

    api.wait_for(spooled, "the disk to be used again")
    assert learner.flush(60)
    assert set(api.runs) == runs


def test_an_agent_waits_microseconds_for_the_disk(connect: Connect) -> None:
    learner = ready(connect())
    waits = []
    for _ in range(500):
        run = learner.start()
        began = time.perf_counter()
        run.finish()
        waits.append(time.perf_counter() - began)
    assert sorted(waits)[len(waits) // 2] < 0.01
    assert learner.stats()["bundles_spooled"] == 500


def test_trouble_with_the_disk_is_one_line_in_the_log(
    api: StandInApi, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool.write_text("in the way")
    with caplog.at_level(logging.WARNING, "learnops.client"):
        learner = ready(connect())
        for _ in range(50):
            finish(learner)
    assert learner.flush(60)
    assert len(caplog.records) <= 2

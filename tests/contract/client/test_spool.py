"""Bundles survive the process that made them; what goes wrong with the disk stays the SDK's."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from learnops.client import spools
from learnops.client.segment import Segment
from learnops.client.tickets import Pace
from learnops.client.waiting import in_thread
from tests.agents import agent
from tests.contract.client.api import Api, Handler
from tests.contract.client.test_reporting import BATCH, finish
from tests.contract.client.test_routing import Connect, ready
from tests.disks import mounted

RUNS = [f"r{number}" for number in range(20)]
# The api is away when these begin, so they say themselves which policy they run with.
serving = partial(agent, serving="planner-v1")


def segments(spool: Path) -> list[Path]:
    return sorted(spool.glob("*/*/*.seg"))


def test_what_a_killed_agent_owed_the_next_one_delivers(
    api: Api, connect: Connect, spool: Path
) -> None:
    api.stop()
    with serving(api.url) as killed:
        killed.finish(RUNS)
        killed.kill()
    api.start()
    learner = connect()
    api.wait_for(lambda: len(api.runs) == len(RUNS), "the bundles of the killed agent")
    assert set(api.runs) == set(RUNS)
    assert learner.flush(10)
    assert learner.stats()["bundles_loaded"] == len(RUNS)
    learner.close()
    assert segments(spool) == []


def test_another_doer_or_api_does_not_get_them(api: Api, connect: Connect, spool: Path) -> None:
    with serving("http://127.0.0.1:9") as killed:
        killed.finish(RUNS)
        killed.kill()
    learner = connect()
    finish(learner, "own")
    assert learner.flush(10)
    learner.close()
    assert set(api.runs) == {"own"}
    assert len(segments(spool)) == 1


def test_a_living_agent_is_not_robbed_and_a_killed_one_is_helped_while_others_live(
    api: Api, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "Pace", partial(Pace, search_seconds=0.2))
    api.stop()
    with serving(api.url) as one, serving(api.url) as two:
        one.finish(RUNS[:10])
        two.finish(RUNS[10:])
        one.kill()
        api.start()
        learner = connect()
        api.wait_for(lambda: len(api.runs) == len(RUNS), "the bundles of both")
        assert learner.stats()["bundles_loaded"] == 10
        two.leave()
    assert sum(api.batches) == len(RUNS)  # nothing was sent twice


def test_closing_on_a_dead_api_leaves_them_to_the_next(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    api.stop()
    runs = {finish(learner) for _ in range(4)}
    learner.close(0.3)
    assert learner.stats()["bundles_left"] == 4
    assert "bundles_dropped" not in learner.stats()
    assert "4 bundles wait in" in caplog.text
    api.start()
    assert ready(connect()).flush(10)
    api.wait_for(lambda: set(api.runs) == runs, "what the first learner left")


def test_more_than_memory_takes_waits_on_disk_alone(api: Api, connect: Connect) -> None:
    learner = ready(connect(options={"buffer_runs": 10}))
    api.stop()
    runs = {finish(learner) for _ in range(100)}
    assert learner.stats()["bundles_waiting"] == 100
    assert not learner.flush(0.1)
    api.start()
    assert learner.flush(30)
    assert set(api.runs) == runs
    assert learner.stats()["bundles_loaded"] == 90
    assert "bundles_dropped" not in learner.stats()


def test_both_bounds_reached_the_newest_is_dropped_and_counted(api: Api, connect: Connect) -> None:
    learner = ready(connect(options={"buffer_runs": 10, "spool_runs": 15}))
    api.stop()
    runs = [finish(learner) for _ in range(30)]
    told = learner.stats()
    dropped = told["bundles_dropped"]
    assert isinstance(dropped, int)
    assert dropped > 0
    api.start()
    assert learner.flush(30)
    assert set(api.runs) == set(runs[: len(runs) - dropped])


def test_off_means_memory(api: Api, connect: Connect, spool: Path) -> None:
    learner = ready(connect(spool="off"))
    finish(learner, "r")
    assert learner.flush(10)
    learner.close()
    assert set(api.runs) == {"r"}
    assert not spool.exists()


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "a file in the way": lambda spool: spool.write_text("x"),
    "a link to nowhere": lambda spool: spool.symlink_to("/nowhere/at/all"),
    "nobody may write": lambda spool: spool.symlink_to("/proc"),  # nor may root
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_folder_that_cannot_be_used_means_memory_and_one_line(
    api: Api, connect: Connect, spool: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    UNUSABLE[kind](spool)
    learner = ready(connect())
    api.stop()
    runs = {finish(learner) for _ in range(5)}
    told = learner.stats()
    assert (told["bundles_unspooled"], told["bundles_waiting"]) == (5, 5)
    api.start()
    assert learner.flush(20)
    assert set(api.runs) == runs
    lines = [one.getMessage() for one in caplog.records if "spool" in one.getMessage()]
    assert len([one for one in lines if "cannot be written" in one]) == 1


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def test_a_disk_that_takes_no_more_means_memory_and_costs_nothing_written(
    api: Api, connect: Connect
) -> None:
    api.stop()
    with serving(api.url, prelude=FULL) as limited:
        limited.finish(RUNS)
        told = limited.leave()
    # 1,000 bytes hold four bundles; the others were in memory, and lost with the process.
    api.start()
    learner = connect()
    assert learner.flush(10)
    api.wait_for(lambda: api.runs, "what was on disk")
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
    api: Api, connect: Connect, small_disk: Path, monkeypatch: pytest.MonkeyPatch
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
    assert learner.flush(20)
    assert set(api.runs) == runs
    (small_disk / "other").unlink()
    before = learner.stats()["bundles_spooled"]

    def spooled() -> bool:
        finish(learner)
        return learner.stats()["bundles_spooled"] > before  # type: ignore[operator]

    api.wait_for(spooled, "the disk to be used again")


def test_a_folder_that_is_deleted_costs_what_was_in_it_and_no_more(
    api: Api, connect: Connect, spool: Path
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
    assert learner.flush(20)
    assert set(api.runs) == {"a", "b"}  # both in memory still


def test_a_damaged_file_is_moved_aside_and_named(
    api: Api, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
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
    assert learner.flush(10)
    api.wait_for(lambda: len(api.runs) > 1, "the records before the damage")
    stored = [run for run in api.runs if run != "own"]
    assert 0 < len(stored) < len(RUNS)
    assert sorted(stored, key=RUNS.index) == RUNS[: len(stored)]
    api.wait_for(lambda: list(spool.glob("*/damaged/*.seg")), "the file to be moved")
    assert learner.stats()["spool_damaged"] == 1
    (aside,) = spool.glob("*/damaged/*.seg")
    assert "is damaged: " in caplog.text
    assert f"the damaged file is kept as {aside}" in caplog.text


def test_a_disk_that_hangs_holds_up_one_agent_once_and_no_bundle(
    api: Api, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = ready(connect(options={"spool_seconds": 0.1}))
    answers = threading.Event()
    append = Segment.append

    def hang(segment: Segment, records: object) -> None:
        answers.wait(30)
        append(segment, records)  # type: ignore[arg-type]

    monkeypatch.setattr(Segment, "append", hang)
    began = time.monotonic()
    runs = {finish(learner) for _ in range(100)}
    assert 0.1 <= time.monotonic() - began < 2.0  # 100 waits would be 10 s
    assert learner.flush(10)  # also while it hangs
    assert set(api.runs) == runs
    assert learner.stats()["spool_stalls"] == 1
    answers.set()

    def spooled() -> bool:
        runs.add(finish(learner))
        return learner.stats().get("bundles_unspooled", 0) < len(runs)  # type: ignore[operator]

    api.wait_for(spooled, "the disk to be used again")
    assert learner.flush(10)
    assert set(api.runs) == runs


def test_what_is_refused_for_good_is_kept_with_its_reason_and_not_sent_again(
    api: Api, connect: Connect, spool: Path
) -> None:
    learner = ready(connect(options={"batch_seconds": 30.0}))
    good = [finish(learner)]
    finish(learner, "bad", metrics={"toxicity": -1})
    in_thread(learner._engine.reporter.report(b'{"runId":"%s"}' % (b"x" * 2**20)))
    good.append(finish(learner))
    assert learner.flush(10)
    assert list(api.runs) == good
    learner.close()
    assert learner.stats()["dead_letters"] == 2
    (file,) = spool.glob("*/refused.ndjson")
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    told = {one["body"]["runId"] if one["body"] else None: one["reason"] for one in letters}
    assert told["bad"] == "invalid: metrics.toxicity: is -1; send 0 or more"
    assert told[None] == "over the limit of 1 MiB"
    assert {one["path"] for one in letters} == {BATCH}
    connect().flush(10)
    assert api.batches == [3]


def test_a_batch_refused_whole_leaves_only_its_bad_one_as_a_letter(
    api: Api, connect: Connect, spool: Path
) -> None:
    def picky(handler: Handler) -> None:
        if any(bundle["runId"] == "bad" for bundle in handler.body["runs"]):
            handler.answer(413, {"detail": "the body is over the limit"})
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = picky
    learner = ready(connect(options={"batch_seconds": 30.0}))
    for run in ("a", "b", "bad", "c"):
        finish(learner, run)
    assert learner.flush(10)
    learner.close()
    assert set(api.runs) == {"a", "b", "c"}
    (file,) = spool.glob("*/refused.ndjson")
    (letter,) = map(json.loads, file.read_text().splitlines())
    assert (letter["body"]["runId"], letter["reason"]) == ("bad", "413 the body is over the limit")


FORK = """
import os, sys, time
from learnops.client import Learner, Options
options = Options(first_snapshot_seconds=0.0, close_seconds=0.2)
learner = Learner("planner", api=sys.argv[1], namespace="agents", serving="planner-v1",
                  options=options)
learner.start(run_id="parent").finish()
child = os.fork()
learner.start(run_id="after" if child else "child").finish()
print(os.getpid() if child else f"child {os.getpid()}", flush=True)
time.sleep(600)
"""


def test_a_killed_parent_is_helped_while_its_child_lives_and_the_child_too(
    api: Api, connect: Connect
) -> None:
    api.stop()
    process = subprocess.Popen(
        [sys.executable, "-c", FORK, api.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = {process.stdout.readline().strip() for _ in range(2)}
    (child,) = (int(line.removeprefix("child ")) for line in lines if line.startswith("child "))
    process.kill()
    process.wait()
    try:
        api.start()
        learner = connect()
        # Two of them from disk, either by the learner or by the child: whoever looks first.
        api.wait_for(lambda: len(api.runs) == 3, "all three")
        assert set(api.runs) == {"parent", "after", "child"}
        assert learner.flush(10)
        assert sum(api.batches) == 3
    finally:
        os.kill(child, 9)


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
    api: Api, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool.write_text("in the way")
    with caplog.at_level(logging.WARNING, "learnops.client"):
        learner = ready(connect())
        for _ in range(50):
            finish(learner)
    assert learner.flush(10)
    assert len(caplog.records) <= 2

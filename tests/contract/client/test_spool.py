"""Bundles survive the process that made them."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from learnops.client import spools
from learnops.client.tickets import Pace
from tests.contract.client.learners import Connect, finish, ready
from tests.contract.client.spooled import RUNS, segments, serving
from tests.contract.client.stand_in import StandInApi


def test_what_a_killed_agent_owed_the_next_one_delivers(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    api.stop()
    with serving(api.url) as killed:
        killed.finish(RUNS)
        killed.kill()
    api.start()
    learner = connect()
    api.wait_for(lambda: len(api.runs) == len(RUNS), "the bundles of the killed agent")
    assert set(api.runs) == set(RUNS)
    assert learner.flush(60)
    assert learner.stats()["bundles_loaded"] == len(RUNS)
    learner.close()
    api.wait_for(lambda: segments(spool) == [], "the files to be removed")


def test_another_doer_or_api_does_not_get_them(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    with serving("http://127.0.0.1:9") as killed:
        killed.finish(RUNS)
        killed.kill()
    learner = connect()
    finish(learner, "own")
    assert learner.flush(60)
    learner.close()
    assert set(api.runs) == {"own"}
    assert len(segments(spool)) == 1


def test_a_living_agent_is_not_robbed_and_a_killed_one_is_helped_while_others_live(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch
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
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    api.stop()
    runs = {finish(learner) for _ in range(4)}
    assert learner.stats()["bundles_on_disk"] == 4
    learner.close(0.3)
    assert learner.stats()["bundles_left"] == 4
    assert "bundles_dropped" not in learner.stats()
    assert "4 bundles wait in" in caplog.text
    api.start()
    assert ready(connect()).flush(60)
    api.wait_for(lambda: set(api.runs) == runs, "what the first learner left")


def test_more_than_memory_takes_waits_on_disk_alone(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect(options={"buffer_runs": 10}))
    api.stop()
    runs = {finish(learner) for _ in range(100)}
    assert learner.stats()["bundles_waiting"] == 100
    assert not learner.flush(0.1)
    api.start()
    assert learner.flush(60)
    assert set(api.runs) == runs
    assert learner.stats()["bundles_loaded"] == 90
    assert "bundles_dropped" not in learner.stats()


def test_both_bounds_reached_the_newest_is_dropped_and_counted(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(options={"buffer_runs": 10, "spool_runs": 15}))
    api.stop()
    runs = [finish(learner) for _ in range(30)]
    told = learner.stats()
    dropped = told["bundles_dropped"]
    assert isinstance(dropped, int)
    assert dropped > 0
    api.start()
    assert learner.flush(60)
    assert set(api.runs) == set(runs[: len(runs) - dropped])


def test_with_the_spool_off_bundles_are_in_memory_alone(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    learner = ready(connect(spool="off"))
    finish(learner, "r")
    assert learner.flush(60)
    learner.close()
    assert set(api.runs) == {"r"}
    assert not spool.exists()


FORK = """
import os, sys, time
from dataclasses import replace
from learnops.client import Learner
from tests.patience import PATIENT
options = replace(PATIENT, first_snapshot_seconds=0.0, close_seconds=0.2)
learner = Learner("planner", api=sys.argv[1], namespace="agents", serving="planner-v1",
                  options=options)
learner.start(run_id="parent").finish()
child = os.fork()
learner.start(run_id="after" if child else "child").finish()
print(os.getpid() if child else f"child {os.getpid()}", flush=True)
time.sleep(600)
"""


def test_a_killed_parent_is_helped_while_its_child_lives_and_the_child_too(
    api: StandInApi, connect: Connect
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
        assert learner.flush(60)
        assert sum(api.batches) == 3
    finally:
        os.kill(child, 9)

"""What ended agents left on disk, much of it, or hard to read."""

import errno
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from learnops.client import store
from learnops.client.folder import name_of
from learnops.client.frames import Record
from learnops.client.store import Store, StoreLimits
from learnops.client.telemetry import Telemetry
from tests.contract.client.learners import BATCH, Connect, ready
from tests.contract.client.spooled import segments, serving
from tests.contract.client.stand_in import StandInApi

FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
"""


def leave(folder: Path, runs: Sequence[str]) -> None:
    """What killed agents left: each one bundle."""
    told = {
        "namespace": "agents",
        "doer": "planner",
        "policy": "planner-v1",
        "arm": "control",
        "metrics": {},
    }
    for run in runs:
        limits = StoreLimits(bytes=2**28, records=10, keep_seconds=60)
        killed = Store(folder, limits=limits, telemetry=Telemetry())
        body = json.dumps({**told, "runId": run, "propensity": 0.0}).encode()
        killed.write([Record(path=BATCH, body=body)], loaded=True)
        killed.forget()


def test_what_many_killed_agents_left_costs_an_agent_few_open_files(
    api: StandInApi, spool: Path
) -> None:
    runs = [f"r{number}" for number in range(100)]
    leave(spool / name_of(api=api.url, namespace="agents", doer="planner"), runs)
    api.stop()
    with serving(api.url, prelude=FEW_FILES) as limited:
        limited.finish(["own"])
        api.start()
        api.wait_for(lambda: len(api.runs) == 101, "all bundles")
        told = limited.leave()
    assert set(api.runs) == {*runs, "own"}
    assert "spool_errors" not in told
    assert segments(spool) == []


def test_a_file_that_is_being_read_is_waited_for(
    api: StandInApi, connect: Connect, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(spool / name_of(api=api.url, namespace="agents", doer="planner"), ["a", "b"])
    read, reading, go_on = Path.read_bytes, threading.Event(), threading.Event()

    def slowly(path: Path) -> bytes:
        if path.suffix == ".seg":
            reading.set()
            go_on.wait(60)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", slowly)
    learner = ready(connect())
    api.wait_for(reading.is_set, "the spool to read the first")
    assert learner.stats()["bundles_waiting"] == 2
    assert not learner.flush(0.1)
    go_on.set()
    assert learner.flush(60)
    assert set(api.runs) == {"a", "b"}


def test_flush_waits_for_all_that_ended_processes_left(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    runs = [f"r{number}" for number in range(100)]
    leave(spool / name_of(api=api.url, namespace="agents", doer="planner"), runs)
    learner = ready(connect())
    api.wait_for(lambda: api.runs, "the first of them")
    assert learner.flush(60)
    assert set(api.runs) == set(runs)


def test_a_file_that_could_not_be_read_once_is_delivered(
    api: StandInApi, connect: Connect, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_READ_AGAIN_SECONDS", 0.1)
    leave(spool / name_of(api=api.url, namespace="agents", doer="planner"), ["r"])
    read, refused = Path.read_bytes, threading.Event()

    def refuse(path: Path) -> bytes:
        if path.suffix == ".seg" and not refused.is_set():
            refused.set()
            raise OSError(errno.EMFILE, "too many open files")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    learner = ready(connect())
    api.wait_for(refused.is_set, "the spool to read it")
    assert learner.flush(60)
    assert set(api.runs) == set(["r"])

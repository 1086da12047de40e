"""Signals survive the process that gave them, and the disk is never what they wait for."""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from learnops.client import AsyncLearner, Options
from tests.agents import agent
from tests.contract.client.coroutines import until
from tests.contract.client.handler import Handler
from tests.contract.client.learners import BATCH, Connect, finish, ready
from tests.contract.client.spooled import hanging
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.test_signals import told
from tests.patience import WAITS

serving = partial(agent, serving="planner-v1")
GIVEN = [("compile", 0.0), ("compile", 1.0), ("tests", 0.5)]


def segments(spool: Path) -> list[Path]:
    return sorted(spool.glob("*.signals/*/*.seg"))


def keys(api: StandInApi) -> list[str]:
    return [signal["key"] for _run, sent in api.signals for signal in sent]


def test_what_a_killed_agent_had_not_told_the_next_one_tells_behind_the_bundles(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    api.stop()
    with serving(api.url) as killed:
        killed.finish(["a", "b"])
        killed.signal("a", *GIVEN)
        killed.signal("b", ("human", 1.0))
        killed.kill()
    assert len(segments(spool)) == 1
    api.serve(percent=50)
    api.registered.update(a={}, b={})  # the api would take signals of them before their bundles
    api.misbehave[BATCH] = lambda handler: handler.answer(503, {}, {"Retry-After": "0"})
    api.start()
    learner = connect(options={"signal_seconds": 0.0})
    api.wait_for(lambda: learner.stats().get("report_errors"), "a try to report")
    api.misbehave.clear()
    assert learner.flush(60)
    api.wait_for(lambda: len(keys(api)) == 4, "the signals of the killed agent")
    assert told(api, "a") == GIVEN
    assert told(api, "b") == [("human", 1.0)]
    assert len(set(keys(api))) == 4
    api.wait_for(lambda: learner.stats().get("signals_accepted") == 4, "their answers")
    assert learner.stats()["signals_loaded"] == 4
    learner.close()
    api.wait_for(lambda: segments(spool) == [], "the files to be removed")


def test_signals_wait_for_bundles_that_are_on_disk_alone(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect(options={"buffer_runs": 2, "signal_seconds": 0.0}))
    api.stop()
    runs = [finish(learner) for _ in range(20)]
    for run in reversed(runs):
        learner.signal(run, "tests", 1)
    api.start()
    assert learner.flush(60)
    assert {run for run in runs if told(api, run) == [("tests", 1.0)]} == set(runs)
    assert "signals_dropped" not in learner.stats()


def test_what_was_told_leaves_nothing_on_disk(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    learner = ready(connect())
    for turn in range(5):
        run = finish(learner)
        for place in range(20):
            learner.signal(run, "tests", place / 20)
        assert learner.flush(60), turn
    assert learner.stats()["signals_spooled"] > 0  # type: ignore[operator]
    learner.close()
    api.wait_for(lambda: segments(spool) == [], "the files to be removed")
    assert len(keys(api)) == len(set(keys(api))) == 100


def test_closing_on_a_dead_api_leaves_them_to_the_next(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    api.stop()
    run = finish(learner)
    for name, value in GIVEN:
        learner.signal(run, name, value)
    api.wait_for(lambda: learner.stats()["signals_on_disk"] == 3, "the disk")
    learner.close(0.2)
    stats = learner.stats()
    assert (stats["signals_left"], stats.get("signals_dropped")) == (3, None)
    assert "3 signals wait in" in caplog.text
    api.start()
    with_next = ready(connect())
    api.wait_for(lambda: told(api, run) == GIVEN, "what the first learner left")
    assert with_next.flush(60)


def test_a_disk_that_hangs_holds_up_neither_the_agent_nor_a_signal(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = ready(connect())
    run = finish(learner)
    assert learner.flush(60)
    answers = hanging(monkeypatch)
    began = time.monotonic()
    for _ in range(50):
        learner.signal(run, "tests", 1)
    assert time.monotonic() - began < WAITS["spool_seconds"] / 2
    assert learner.flush(60)  # also while it hangs
    assert told(api, run) == [("tests", 1.0)] * 50
    answers.set()
    learner.close()
    api.wait_for(lambda: learner.stats()["signals_on_disk"] == 0, "the disk to be done with")


def test_a_disk_that_takes_nothing_means_memory(
    api: StandInApi, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool.write_text("in the way")
    learner = ready(connect())
    api.stop()
    for _ in range(5):
        learner.signal("r", "tests", 1)
    api.wait_for(lambda: learner.stats().get("signals_unspooled") == 5, "the disk to refuse")
    assert caplog.text.count("the spool cannot be written, signals wait in memory") == 1
    assert learner.stats()["signals_waiting"] == 5
    api.start()
    finish(learner, "r")
    assert learner.flush(60)
    assert told(api, "r") == [("tests", 1.0)] * 5


def test_a_full_buffer_drops_the_newest_and_counts(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    api.stop()
    for place in range(20_100):
        learner.signal("r", "tests", 1, key=str(place))
    stats = learner.stats()
    assert (stats["signals_dropped"], stats["signals_waiting"]) == (100, 20_000)


def test_a_full_spool_leaves_signals_in_memory_and_bundles_their_room(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(options={"spool_runs": 3}))
    api.stop()
    for _ in range(10):
        learner.signal("r", "tests", 1)
        before = learner.stats().get("signals_spooled", 0)
    api.wait_for(lambda: learner.stats().get("signals_unspooled"), "a full spool")
    assert before is not None
    stats = learner.stats()
    assert stats.get("signals_spooled", 0) <= 3  # type: ignore[operator]
    finish(learner, "r")
    assert learner.stats()["bundles_spooled"] == 1
    api.start()
    assert learner.flush(60)
    assert len(told(api, "r")) == 10


def test_what_is_refused_for_good_can_be_posted_again(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    learner = ready(connect(options={"signal_seconds": 0.0}))
    run = finish(learner)
    assert learner.flush(60)
    learner.signal(run, "tests", 1, note="refuse me", key="k1")
    learner.signal("no/body", "tests", 1, key="k2")
    assert learner.flush(60)
    learner.close()
    api.wait_for(lambda: learner.stats().get("dead_letters") == 2, "the letters")
    (file,) = spool.glob("*/refused.ndjson")
    first, second = map(json.loads, file.read_text().splitlines())
    assert first["path"] == f"/v1/runs/{run}/signals"
    assert first["reason"] == "422 signals[0].note"
    assert second["path"] == "/v1/runs/no%2Fbody/signals"
    assert second["reason"] == "404 no such run"
    body = second["body"]
    assert (body["namespace"], body["doer"]) == ("agents", "planner")
    assert [signal["key"] for signal in body["signals"]] == ["k2"]
    assert connect().flush(60)
    assert keys(api) == []  # they are not sent once more


def test_a_record_that_is_no_signal_is_put_aside_and_its_neighbours_arrive(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    from learnops.client.frames import Record, encode
    from learnops.client.later import SIGNALS_PATH

    api.stop()
    with serving(api.url) as killed:
        killed.finish(["a"])
        killed.signal("a", ("tests", 0.5))
        killed.kill()
    (file,) = segments(spool)
    wrong = [b"[]", b"{", b'{"runId": 7, "signal": {}}', b"[" * 9999]
    records = [encode(Record(path=SIGNALS_PATH, body=body)) for body in wrong]
    file.write_bytes(b"".join(records) + file.read_bytes())
    api.start()
    learner = ready(connect())
    api.wait_for(lambda: told(api, "a") == [("tests", 0.5)], "the signal")
    assert learner.flush(60)
    stats = learner.stats()
    assert (stats["signals_invalid"], stats["dead_letters"]) == (len(wrong), len(wrong))
    assert "loop_errors" not in stats
    learner.close()
    api.wait_for(lambda: segments(spool) == [], "the files to be removed")


FORK = """
import os, signal, sys
from dataclasses import replace
from learnops.client import Learner
from testbed.waiting import wait_until
from tests.patience import PATIENT
options = replace(PATIENT, first_snapshot_seconds=0.0, close_seconds=0.2)
learner = Learner("planner", api=sys.argv[1], namespace="agents", serving="planner-v1",
                  options=options)
def told(name, count, on_disk):
    for place in range(count):
        learner.signal("r", name, place / 10)
    wait_until(lambda: learner.stats().get("signals_on_disk", 0) == on_disk, what="the disk",
               deadline_seconds=60)
learner.start(run_id="r").finish()
told("parent", 5, on_disk=5)
child = os.fork()
if child == 0:
    told("child", 3, on_disk=3)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
told("after", 2 + 5, on_disk=5 + 7)
learner.close()
print(learner.stats()["signals_left"])
"""


def test_a_child_tells_its_own_and_not_what_its_parent_owes(
    api: StandInApi, connect: Connect
) -> None:
    api.stop()
    done = subprocess.run(
        [sys.executable, "-c", FORK, api.url],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
    )
    assert (done.returncode, done.stdout.strip()) == (0, "12"), done.stderr
    api.start()
    learner = ready(connect())
    api.wait_for(lambda: len(keys(api)) == 15, "those of both")
    assert learner.flush(60)
    names = [name for name, _ in told(api, "r")]
    assert [names.count(name) for name in ("parent", "child", "after")] == [5, 3, 7]
    of_parent = [one for one in told(api, "r") if one[0] != "child"]
    expected = [("parent", place / 10) for place in range(5)]
    assert of_parent == expected + [("after", place / 10) for place in range(7)]
    assert len(set(keys(api))) == 15


async def test_a_coroutine_waits_for_no_disk_and_its_signals_survive_it(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(**WAITS)
    async with AsyncLearner("planner", api=api.url, namespace="agents", options=options) as learner:
        run = await learner.start()
        await run.finish(metrics={"grounding": 0.5})
        assert await learner.flush(60)
        api.misbehave[f"/v1/runs/{run.id}/signals"] = busy
        answers = hanging(monkeypatch)
        began = time.monotonic()
        for name, value in GIVEN:
            run.signal(name, value)
        assert time.monotonic() - began < WAITS["spool_seconds"] / 2
        answers.set()
        await until(lambda: learner.stats()["signals_on_disk"] == 3)
        await learner.close(0.2)
        assert learner.stats()["signals_left"] == 3
    api.misbehave.clear()
    connect()
    api.wait_for(lambda: told(api, run.id) == GIVEN, "what the first learner left")


def busy(handler: Handler) -> None:
    handler.answer(503, {}, {"Retry-After": "0"})

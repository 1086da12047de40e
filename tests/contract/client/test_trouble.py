"""Trouble that must stay the SDK's own: an api that fails on one bundle, no thread to be had."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from learnops.client import Learner, Options
from testbed.waiting import wait_until
from tests.contract.client.handler import Handler
from tests.contract.client.learners import BATCH, Connect, finish, ready
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.test_sending_again import TRANSIENT


def test_a_bundle_that_the_api_always_fails_on_is_dropped_and_told(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(handler: Handler) -> None:
        if any(run["runId"] == "poison" for run in handler.body["runs"]):
            handler.answer(500, {"detail": "a bug of the api"})
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = fail
    learner = ready(connect())
    with caplog.at_level(logging.WARNING, "learnops.client"):
        finish(learner, "poison")
        assert learner.flush(60)
    finish(learner, "good")
    assert learner.flush(60)
    assert set(api.runs) == {"good"}
    assert learner.stats()["bundles_dropped"] == 1
    told = [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()]
    assert len(told) == 1
    assert "500 a bug of the api" in told[0]


def test_a_bundle_that_breaks_the_connection_holds_up_nobody(
    api: StandInApi, connect: Connect, spool: Path
) -> None:
    def break_off(handler: Handler) -> None:
        if any(run["runId"] == "poison" for run in handler.body["runs"]):
            handler.drop()
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = break_off
    learner = ready(connect(options={"batch_seconds": 0.5}))
    runs = {finish(learner, run) for run in ("a", "poison", "b", "c")} - {"poison"}
    api.wait_for(lambda: set(api.runs) == runs, "its neighbours")

    def given_up() -> bool:
        runs.add(finish(learner))
        return "dead_letters" in learner.stats()

    wait_until(given_up, what="it to be given up", deadline_seconds=60, interval_seconds=0.3)
    assert learner.flush(60)
    assert set(api.runs) == runs
    (file,) = spool.glob("*/refused.ndjson")
    assert '"reason": "ProtocolError"' in file.read_text()
    assert file.read_text().count("\n") == 1


def hang(handler: Handler) -> None:
    """Take the request and never answer."""
    with handler.api.changed:
        handler.api.changed.wait_for(lambda: handler.api.stopped or not handler.api.misbehave, 60)
    handler.close_connection = True


@pytest.mark.parametrize("kind", [*TRANSIENT, "hangs", "dead"])
@pytest.mark.parametrize("folder", [None, "off"])
def test_finish_and_close_are_bounded_whatever_the_api_does(
    api: StandInApi, connect: Connect, kind: str, folder: str | None
) -> None:
    learner = ready(connect(spool=folder, options={"spool_seconds": Options().spool_seconds}))
    wrong: dict[str, Callable[[Handler], None]] = {**TRANSIENT, "hangs": hang}
    if kind == "dead":
        api.stop()
    else:
        api.misbehave[BATCH] = wrong[kind]
    took = []
    for _ in range(20):
        run = learner.start()
        began = time.perf_counter()
        run.finish(metrics={"grounding": 0.9})
        took.append(time.perf_counter() - began)
    # Tied to the api they would take until its time-out, 10 s; half of them are not even late.
    assert max(took) < 5.0
    assert sorted(took)[10] < 0.05
    began = time.perf_counter()
    learner.close(0.2)
    assert time.perf_counter() - began < 0.2 + 2.0 + 5.0
    with api.changed:
        api.misbehave.clear()
        api.changed.notify_all()


def refuse(_thread: threading.Thread) -> None:
    """As CPython does at the limit of threads."""
    raise RuntimeError("can't start new thread")


def test_a_learner_without_a_thread_for_snapshots_tries_again(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        learner: Learner = connect()
    assert learner.stats()["thread_errors"] == 3  # for snapshots and for two spools
    learner.start()
    ready(learner)


def test_reports_wait_until_a_thread_can_start(
    api: StandInApi,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    learner = ready(connect())
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "learnops.client"):
        patch.setattr(threading.Thread, "start", refuse)
        runs = [finish(learner) for _ in range(3)]
    assert learner.stats()["thread_errors"] == 3
    assert len([record for record in caplog.records if "start" in record.getMessage()]) == 1
    assert learner.flush(60)
    assert set(api.runs) == set(runs)


def test_where_no_thread_can_register_a_run_it_gets_control_at_once(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        run = learner.start()
        assert (run.arm, run.policy.name) == ("control", "planner-v1")
    assert learner.stats()["runs_unregistered"] == 1
    learner.start(run_id="later")
    assert "later" in api.registered

"""What an agent hangs in, or a system takes away, ends no thread of the SDK."""

import ctypes
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from learnops.client import Learner, Run
from testbed.waiting import wait_until
from tests.agents import agent
from tests.contract.client.handler import Handler
from tests.contract.client.learners import BATCH, Connect, finish, ready
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.test_shadow import SHADOWS, Beside, opened
from tests.contract.client.test_signals import told
from tests.patience import WAITS

LOG = logging.getLogger("learnops.client")


def work(learner: Learner, name: str) -> Run:
    """Something for each background thread but those of snapshots."""
    learner.withdraw(learner.start(run_id=f"{name}-void"))
    run = learner.start(run_id=name)
    learner.shadow(run, lambda again: again.finish(metrics={"grounding": 0.5}))
    run.finish(metrics={"grounding": 0.9})
    run.signal("tests", 1)
    return run


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, LookupError])
def test_no_thread_ends_of_what_is_raised_in_it(
    api: StandInApi, connect: Connect, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    api.serve(percent=50)
    before = set(threading.enumerate())
    learner = ready(connect(), 2)
    Beside(api, learner)  # takes what candidates report
    work(learner, "a")
    assert learner.flush(60)
    ours = {one for one in set(threading.enumerate()) - before if "learnops-" in one.name}
    assert len(ours) == 9
    for thread in ours:
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error)
        )
    # It is raised when a thread wakes up.
    api.serve(percent=50)

    def survived() -> bool:
        learner.withdraw(learner.start())  # whoever is served by a thread that wakes gets control
        finish(learner)
        learner.signal("a", "tests", 1)
        learner.shadow(learner.start(), lambda again: again.finish(metrics={}))
        return learner.stats().get("loop_errors", 0) == len(ours)

    wait_until(survived, what="all threads to meet it", deadline_seconds=60, interval_seconds=0.1)
    assert all(thread.is_alive() for thread in ours)
    ready(learner, 3)
    wait_until(
        lambda: learner.start().assignment.rollout, what="a registration", deadline_seconds=60
    )
    work(learner, "b")
    assert learner.flush(60)
    assert (told(api, "b"), api.runs["b"]["metrics"]) == ([("tests", 1.0)], {"grounding": 0.9})
    assert "b-void" in api.voided
    assert caplog.text.count(f"goes on after a bug: {error.__name__}") == len(ours)


@contextmanager
def hook(error: BaseException) -> Iterator[None]:
    """A filter of the agent's own on the SDK's log, which raises."""

    def refuse(_record: logging.LogRecord) -> bool:
        raise error

    LOG.addFilter(refuse)
    try:
        yield
    finally:
        LOG.removeFilter(refuse)


def test_a_log_that_raises_costs_the_agent_nothing(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    with hook(LookupError("theirs")):
        run = learner.start(run_id="x" * 500)
        run.signal("Wrong", 7)
        run.finish(metrics={"grounding": 1}, qav={"x": object()}, signals={"Wrong": 7})
        run.finish()
        learner.signal(run.id, "Wrong", 7)
    assert learner.flush(60)
    assert run.id in api.runs
    assert learner.stats()["log_errors"] >= 3  # type: ignore[operator]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_log_that_ends_threads_ends_none_of_these(
    api: StandInApi, connect: Connect, spool: Path, error: type[BaseException]
) -> None:
    learner = ready(connect(options={"long_poll_seconds": 1}))
    with hook(error()):
        api.stop()
        spool.write_text("in the way")
        run = learner.start(run_id="a")
        began = time.monotonic()
        run.finish(metrics={"grounding": 0.9})
        assert time.monotonic() - began < WAITS["spool_seconds"] / 2  # who is refused is told so
        run.signal("tests", 1)
        # Snapshots, reports, signals and both spools have something to say now.
        api.wait_for(lambda: learner.stats().get("loop_errors", 0) >= 4, "the loops to go on")  # type: ignore[operator]
    api.start()
    assert learner.flush(60)
    assert (told(api, "a"), set(api.runs)) == ([("tests", 1.0)], {"a"})


def test_a_spool_that_is_replaced_while_it_is_used_is_trouble_and_no_end(
    api: StandInApi, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    finish(learner, "first")
    learner.signal("first", "tests", 1)
    assert learner.flush(60)
    moved = spool.rename(spool.with_name("moved"))
    spool.write_text("in the way")
    api.misbehave[BATCH] = refuse_bad
    for name in ("a", "bad", "b"):
        finish(learner, name)
    learner.signal("a", "tests", 1)
    assert learner.flush(60)
    assert set(api.runs) == {"first", "a", "b"}
    api.wait_for(lambda: learner.stats().get("dead_letters_dropped"), "the letter to be refused")
    spool.unlink()
    moved.rename(spool)

    def written() -> bool:
        finish(learner)
        return "dead_letters" in learner.stats() or _bury(learner)

    api.wait_for(written, "the spool to be used again")
    assert learner.flush(60)
    assert told(api, "a") == [("tests", 1.0)]
    assert "loop_errors" not in learner.stats()


def _bury(learner: Learner) -> bool:
    finish(learner, "bad-again")
    return False


def refuse_bad(handler: Handler) -> None:
    """Refuse each batch in which a bad one is."""
    if any(bundle["runId"].startswith("bad") for bundle in handler.body["runs"]):
        handler.answer(422, {"detail": "bad"})
    else:
        handler.behave(BATCH)


def test_what_cannot_be_read_of_an_ended_process_holds_up_nothing(
    api: StandInApi, connect: Connect, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.stop()
    with agent(api.url, serving="planner-v1") as killed:
        killed.finish(["a"])
        killed.signal("a", ("tests", 1))
        killed.kill()
    files = sorted(spool.glob("*/*/*.seg"))
    assert len(files) == 2
    for file in files:
        file.with_name("00000000.seg").mkdir()  # nor can root read it
    api.start()
    learner = ready(connect())
    api.wait_for(lambda: told(api, "a") == [("tests", 1.0)], "what can be read")
    assert learner.flush(60)
    finish(learner, "own")
    assert learner.flush(60)
    assert set(api.runs) == {"a", "own"}
    assert learner.stats()["spool_errors"] == 2
    assert caplog.text.count("cannot be read") == 1
    for file in files:
        shutil.rmtree(file.parent, ignore_errors=True)


def test_a_signal_of_what_is_no_id_costs_the_agent_nothing(
    api: StandInApi, connect: Connect
) -> None:
    class Odd:
        def __str__(self) -> str:
            raise LookupError("theirs")

        __repr__ = __str__
        __hash__ = object.__hash__

    learner = ready(connect())
    learner.signal(Odd(), "tests", 1)  # type: ignore[arg-type]
    run = learner.start()
    run.finish(signals={Odd(): 1, "human": 1})  # type: ignore[dict-item]
    assert learner.flush(60)
    assert api.runs[run.id]["signals"] == {"human": 1.0}
    assert learner.stats()["signals_invalid"] == 2

"""Children that were forked long before their first run, as a server's workers, or amid one."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from learnops.client import Learner
from tests.contract.client.handler import Handler
from tests.contract.client.stand_in import StandInApi

Connect = Callable[..., Learner]

IDLE = """
import os, sys, time
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
child = os.fork()  # before the parent had a snapshot
if child == 0:
    now = time.monotonic
    time.monotonic = lambda: now() + 3600.0
    print("forked", flush=True)
    sys.stdin.readline()
    run = learner.start(run_id="child")
    run.finish(metrics={"grounding": 1.0})
    learner.close()
    print(run.policy.name, learner.stats().get("runs_without_snapshot", 0), flush=True)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


BEGUN = """
import os, signal, sys, threading
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
run = learner.start(run_id="begun")
held, over = threading.Event(), threading.Event()

def count():  # at the very moment of the fork
    with learner._engine.telemetry._lock:
        held.set()
        over.wait()

threading.Thread(target=count, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(90)
    run.finish(metrics={"grounding": float("nan")})
    learner.close()
    told = learner.stats()
    print(told["bundles_accepted"], told["details_dropped"], flush=True)
    os._exit(0)
over.set()
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_run_that_began_before_the_fork_is_finished_behind_it(api: StandInApi) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGUN, api.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("1 1\n", 0)
    assert set(api.runs) == {"begun"}


def away(handler: Handler) -> None:
    handler.answer(503, {"title": "Service Unavailable"})


def test_its_first_run_waits_for_the_first_snapshot(api: StandInApi) -> None:
    api.misbehave["/v1/snapshot"] = away
    with subprocess.Popen(
        [sys.executable, "-c", IDLE, api.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        del api.misbehave["/v1/snapshot"]
        told, _ = process.communicate("\n", timeout=120)
    assert (told, process.returncode) == ("planner-v1 0\n", 0)
    assert set(api.runs) == {"child"}


@pytest.mark.parametrize("turned", [-1e9, 1e9])
def test_a_turned_clock_holds_up_no_run_beyond_the_bound(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch, turned: float
) -> None:
    """Libraries that stop the clock for a test also turn what should only go forward."""
    api.misbehave["/v1/snapshot"] = away
    learner = connect(options={"first_snapshot_seconds": 0.1})
    now = time.monotonic
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: now() + turned)
        began = now()
        assert learner.start().policy.name == ""
        assert now() - began < 10.0

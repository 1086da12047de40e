"""A signal handler may call the SDK in the middle of a call of the SDK."""

import subprocess
import sys

import pytest

from tests.contract.client.stand_in import StandInApi

GENEROUS_SECONDS = 240

SETTING = """
import faulthandler, random, signal, sys
from learnops.client import Learner, Options, Policy

faulthandler.dump_traceback_later(120, exit=True)
options = Options(first_snapshot_seconds=float(sys.argv[2]), close_seconds=0.05)

def made():
    return Learner("planner", api=sys.argv[1], namespace="agents",
                   default_policy=Policy(name="planner-v1"), options=options)
"""

# Handlers that tell, and begin and end runs, in the midst of those that begin and end.
TELLS = """
learner, calls = made(), 0
run = learner.start()

def handle(*_):
    global calls
    calls += 1
    learner.stats()
    learner.start().fail("terminated")
    run.signal("tests", 1)
    run.record_usage(model="m", input_tokens=1, output_tokens=1)

signal.signal(signal.SIGALRM, handle)
for _ in range(2000):
    if calls >= 500:
        break
    signal.setitimer(signal.ITIMER_REAL, random.random() * 0.0008 + 0.00005)
    for _ in range(4):
        learner.start().finish(metrics={"a": 1})
        run.record_usage(model="m", input_tokens=1, output_tokens=1)
        run.signal("tests", 1)
    signal.setitimer(signal.ITIMER_REAL, 0)
print("handled", calls > 50)
"""

# As a handler of SIGTERM does it.
CLOSES = """
closed = 0
for _ in range(20):
    learner, over = made(), []

    def handle(*_):
        learner.close()
        over.append(True)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, random.random() * 0.01 + 0.0005)
    while not over:
        learner.start().finish(metrics={"a": 1})
    closed += 1
print("handled", closed == 20)
"""


@pytest.mark.parametrize("script", [TELLS, CLOSES], ids=["tells", "closes"])
@pytest.mark.parametrize("answers", [True, False], ids=["an api", "no api"])
def test_what_a_handler_interrupts_does_not_hold_it_up(
    api: StandInApi, script: str, *, answers: bool
) -> None:
    if not answers:
        api.stop()
    done = subprocess.run(
        [sys.executable, "-c", SETTING + script, api.url, "5" if answers else "0"],
        capture_output=True,
        text=True,
        timeout=GENEROUS_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "handled True\n"), done.stderr

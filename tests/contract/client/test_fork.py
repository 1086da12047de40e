"""A process may fork at any time, also while a background thread is at work."""

import subprocess
import sys

from tests.contract.client.stand_in import StandInApi

LATE_IMPORTS = """
import sys
import learnops.client.transport  # the calling thread does it when it makes a learner
from learnops.client import Learner
from tests.patience import PATIENT
before = set(sys.modules)
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
for _ in range(10):
    run = learner.start()
    run.finish(metrics={"grounding": 1.0})
    run.signal("tests", 1)
learner.close()
told = learner.stats()
if (told["bundles_accepted"], told["signals_accepted"]) != (10, 10):
    sys.exit(f"the api has {learner.stats()}")
late = set(sys.modules) - before
sys.exit(f"loaded by a thread: {sorted(late)}" if late else 0)
"""


def test_no_background_thread_loads_a_module(api: StandInApi) -> None:
    """A fork while one does leaves the module's lock held in the child, for ever."""
    api.serve(percent=50)
    done = subprocess.run(
        [sys.executable, "-c", LATE_IMPORTS, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


FORK_AT_ONCE = """
import os, sys
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
child = os.fork()  # the parent's threads are just beginning
run = learner.start(run_id="child" if child == 0 else "parent")
run.finish(metrics={"grounding": 1.0})
learner.close()
if child == 0:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_right_after_the_learner_was_made(api: StandInApi) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK_AT_ONCE, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert set(api.runs) == {"child", "parent"}


CLOSED = """
import os, sys
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
learner.start(run_id="parent").finish(metrics={"grounding": 1.0})
learner.signal("parent", "tests", 1)
if not learner.flush(60):
    sys.exit(f"the api has {learner.stats()}")
os.closerange(3, 256)
child = os.fork()
if child == 0:
    learner.start(run_id="child").finish(metrics={"grounding": 1.0})
    learner.signal("child", "tests", 1)
    learner.close()
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_daemon_that_closes_all_files_before_it_forks(api: StandInApi) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSED, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert set(api.runs) == {"child", "parent"}
    # Its lock went with the files: the child may take the parent's signal for one to deliver, and
    # the api knows it by its key.
    told = [(run, signal["key"]) for run, signals in api.signals for signal in signals]
    assert {run for run, _ in told} == {"child", "parent"}
    assert len(set(told)) == 2

"""The SDK in threads, forked children and processes that just end."""

import os
import subprocess
import sys
import threading

import pytest

from tests.contract.client.learners import Connect, finish, ready
from tests.contract.client.stand_in import StandInApi


def test_many_threads_lose_nothing(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    ids: list[str] = []

    def agent() -> None:
        ids.extend([finish(learner) for _ in range(50)])

    threads = [threading.Thread(target=agent) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert learner.flush(60)
    assert len(ids) == 400
    assert set(api.runs) == set(ids)
    assert all(told["propensity"] in (0.5, 0.0) for told in api.runs.values())


FORK = """
import os, sys
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
inherited = learner.start(run_id="inherited")
learner.start(run_id="parent-before").finish(metrics={"grounding": 1.0})
child = os.fork()
if child == 0:
    inherited.finish(metrics={"grounding": 1.0})
    for n in range(3):
        learner.start(run_id=f"child-{n}").finish(metrics={"grounding": 1.0})
    learner.close()
    os._exit(0 if learner.stats()["bundles_accepted"] == 4 else 1)
learner.start(run_id="parent-after").finish(metrics={"grounding": 1.0})
status = os.waitpid(child, 0)[1]
learner.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_works_and_sends_nothing_twice(api: StandInApi) -> None:
    api.serve(percent=50)
    done = subprocess.run(
        [sys.executable, "-c", FORK, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    expected = {"inherited", "parent-before", "parent-after", *(f"child-{n}" for n in range(3))}
    assert set(api.runs) == expected
    assert sum(api.batches) == len(expected)


EXIT = """
import sys
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace="agents", options=PATIENT)
learner.start(run_id="r").finish()
"""


def test_a_process_that_ends_without_close_still_reports(api: StandInApi) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXIT, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert list(api.runs) == ["r"]


LIGHT = """
import sys
import learnops.client
heavy = {"pydantic", "numpy", "urllib3", "kopf", "fastapi", "asyncio", "decimal"} & set(sys.modules)
sys.exit(f"imported {sorted(heavy)}" if heavy else 0)
"""


def test_importing_the_sdk_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

"""Processes of `multiprocessing`, which end without `atexit`, drain their learners all the same."""

import subprocess
import sys

import pytest

from tests.contract.client.stand_in import StandInApi

HEAD = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from learnops.client import Learner
from tests.patience import PATIENT

options = replace(PATIENT, batch_seconds=3600.0)  # nothing is sent before the end

def made():
    return Learner(
        "planner", api=sys.argv[1], namespace="agents", spool="off", options=options
    )

def work(run_id):
    learner = inherited or made()
    learner.start(run_id=run_id).finish(metrics={"grounding": 1.0})
    learner.signal(run_id, "tests", 1)

def tell(run_id):
    inherited.signal(run_id, "human", 1)
"""
FORMS = {
    "a process with its parent's learner": """
inherited = made()
children = [context.Process(target=work, args=(name,)) for name in "ab"]
for child in children:
    child.start()
for child in children:
    child.join()
""",
    "a process with a learner of its own": """
inherited = None
children = [context.Process(target=work, args=(name,)) for name in "ab"]
for child in children:
    child.start()
for child in children:
    child.join()
""",
    "a pool": """
inherited = made()
with ProcessPoolExecutor(2, mp_context=context) as pool:
    list(pool.map(work, "ab"))
""",
}


def ended(api: StandInApi, script: str) -> None:
    begin = 'context = multiprocessing.get_context("fork")\n'
    done = subprocess.run(
        [sys.executable, "-c", HEAD + begin + script, api.url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", FORMS)
def test_what_they_owe_is_sent_before_they_end(api: StandInApi, form: str) -> None:
    ended(api, FORMS[form])
    assert set(api.runs) == {"a", "b"}
    assert {run_id for run_id, _ in api.signals} == {"a", "b"}


def test_so_is_a_signal_of_a_child_that_begins_no_run(api: StandInApi) -> None:
    api.runs["a"] = {}
    script = "inherited = made()\nchild = context.Process(target=tell, args=('a',))\n"
    ended(api, script + "child.start()\nchild.join()\n")
    assert [signals[0]["name"] for _, signals in api.signals] == ["human"]

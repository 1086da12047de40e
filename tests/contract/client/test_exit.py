"""A process that ends without `close` drains, also for learners that nobody holds any more."""

import subprocess
import sys

import pytest

from tests.contract.client.stand_in import StandInApi

SYNC = """
import gc, sys
from dataclasses import replace
from learnops.client import Learner
from tests.patience import PATIENT

def work():
    patient = replace(PATIENT, batch_seconds=3600.0)  # nothing is sent before the end
    learner = Learner(
        "planner", api=sys.argv[1], namespace="agents", spool="off", options=patient
    )
    learner.start(run_id="a").finish(metrics={"grounding": 1.0})
    learner.signal("a", "tests", 1)

work()
gc.collect()
"""

ASYNC = """
import asyncio, gc, sys
from dataclasses import replace
from learnops.client import AsyncLearner
from tests.patience import PATIENT

async def work():
    patient = replace(PATIENT, batch_seconds=3600.0)
    learner = AsyncLearner(
        "planner", api=sys.argv[1], namespace="agents", spool="off", options=patient
    )
    run = await learner.start(run_id="a")
    await run.finish(metrics={"grounding": 1.0})
    learner.signal("a", "tests", 1)

asyncio.run(work())
gc.collect()
"""


@pytest.mark.parametrize("script", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_learner_that_went_out_of_scope_is_drained(api: StandInApi, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, api.url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert set(api.runs) == {"a"}
    assert [run_id for run_id, _ in api.signals] == ["a"]

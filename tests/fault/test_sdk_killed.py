"""What killed agents and forked workers owe the api is delivered once, by whoever comes next."""

import os
import subprocess
import sys
from functools import partial

from tests.agents import agent
from tests.fault.spooling import Fault, fault

__all__ = ["fault"]  # fixtures


def test_a_killed_agents_bundles_are_delivered_by_the_next(fault: Fault) -> None:
    runs = [f"run-{number}" for number in range(60)]
    with agent(
        fault.api.url,
        namespace=fault.world.namespace,
        patience=20.0,
        **fault.agent_environment(),
    ) as killed:
        killed.finish(runs[:30])
        fault.api.process.kill()
        killed.finish(runs[30:])
        killed.kill()
    fault.api.start()
    with fault.learner() as learner:
        fault.wait_stored(set(runs))
        assert learner.flush(60)
        assert learner.stats()["bundles_loaded"] >= 30  # type: ignore[operator]
    assert not list(fault.spool.glob("*/*/*.seg"))
    resolved = fault.rows("SELECT run_id, resolution FROM deployment_routings")
    assert {how for run, how in resolved if run in runs} == {"Bundle"}


SIGNALS = "SELECT run_id, name, value::text FROM signals WHERE origin = 'Later' ORDER BY run_id, id"


def test_a_killed_agents_signals_arrive_once_and_in_their_order(fault: Fault) -> None:
    agents = partial(
        agent,
        fault.api.url,
        namespace=fault.world.namespace,
        patience=20.0,
        **fault.agent_environment(),
    )
    runs = {"before", "after"}
    with agents() as killed:
        killed.finish(["before"])
        fault.wait_stored({"before"})
        fault.api.process.kill()
        killed.finish(["after"])
        for run in runs:
            killed.signal(run, ("tests", 0.25), ("tests", 0.75), ("human", 1))
        killed.kill()
    fault.api.start()
    # The second one of these finds what the first was killed with, sent or not.
    with agents() as killed:
        fault.wait(lambda: fault.rows(SIGNALS), "a signal in the log")
        killed.kill()
    with fault.learner() as learner:
        fault.wait(lambda: len(fault.rows(SIGNALS)) >= 6, "6 signals in the log")
        fault.wait_stored(runs)
        assert learner.flush(60)
        assert "signals_dropped" not in learner.stats()
    given = [("tests", "0.25"), ("tests", "0.75"), ("human", "1")]
    assert fault.rows(SIGNALS) == [(run, *signal) for run in sorted(runs) for signal in given]
    rewards = fault.rows("SELECT run_id, reward::text FROM run_rewards ORDER BY run_id")
    assert rewards == [(run, "0.8") for run in sorted(runs)]
    assert not list(fault.spool.glob("*/*/*.seg"))


PREFORK = """
import os, signal, sys
from learnops.client import Learner
from tests.patience import PATIENT
learner = Learner("planner", api=sys.argv[1], namespace=sys.argv[2], options=PATIENT)
learner.start(run_id="parent-0").finish(metrics={"grounding": 1.0, "contradictions": 0})
children = []
for worker in range(3):
    child = os.fork()
    if child == 0:
        for turn in range(20):
            run = learner.start(run_id=f"worker-{worker}-{turn}")
            run.finish(metrics={"grounding": 1.0, "contradictions": 0})
        if worker == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        learner.close()
        os._exit(0)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
learner.start(run_id="parent-1").finish(metrics={"grounding": 1.0, "contradictions": 0})
learner.close()
print(codes)
"""


def test_workers_that_were_forked_after_the_start_all_deliver(fault: Fault) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREFORK, fault.api.url, fault.world.namespace],
        env={**os.environ, **fault.agent_environment()},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[-9, 0, 0]"
    workers = {f"worker-{worker}-{turn}" for worker in range(3) for turn in range(20)}
    with fault.learner() as learner:  # finds what the killed one did not get rid of
        fault.wait_stored({"parent-0", "parent-1", *workers})
        assert learner.flush(60)
    assert fault.counted() == 62

"""Agents in processes of their own, which may be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

# Finishes the runs that it is told on standard input, and says so when `finish` has returned.
# A line of a run, a name and a value is a signal; that it says once the disk has it. It is patient:
# on a busy machine neither the api nor the disk is as quick as an agent would want.
_AGENT = """
import sys
from learnops.client import Learner, Options
from testbed.waiting import wait_until
from tests.patience import WAITS
signals = 0
api, namespace, serving, patience = sys.argv[1:]
options = Options(
    first_snapshot_seconds=float(patience),
    close_seconds=0.2,
    **WAITS,
)
learner = Learner("planner", api=api, namespace=namespace, serving=serving or None, options=options)
for line in sys.stdin:
    run, *signal = line.split()
    if signal:
        signals += 1
        learner.signal(run, signal[0], float(signal[1]), source="ci")
        wait_until(
            lambda: learner.stats().get("signals_spooled", 0) == signals,
            what="the signal on disk",
            deadline_seconds=60,
            interval_seconds=0.005,
        )
    else:
        learner.start(run_id=run).finish(metrics={"grounding": 1.0, "contradictions": 0})
    print(line.strip(), flush=True)
learner.close()
print(learner.stats(), flush=True)
"""


class Agent:
    """One such process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def finish(self, runs: Sequence[str]) -> None:
        """Let it finish runs; returns when it has."""
        told, tells = _pipes(self.process)
        for run in runs:
            told.write(f"{run}\n")
            told.flush()
            assert tells.readline().strip() == run

    def signal(self, run: str, *signals: tuple[str, float]) -> None:
        """Let it give signals of a run; returns when they are on its disk."""
        self.finish([f"{run} {name} {value}" for name, value in signals])

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> str:
        """Let it close its learner and end; what it counted."""
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return out


@contextmanager
def agent(
    url: str,
    *,
    namespace: str = "agents",
    serving: str = "",
    patience: float = 0.0,
    prelude: str = "",
    **environment: str,
) -> Iterator[Agent]:
    """An agent of doer `planner`.

    `patience`: seconds that its first run may wait for a snapshot; `serving`: the policy that it
    runs with if there is none; `prelude`: Python that its process runs first.
    """
    command = [sys.executable, "-c", prelude + _AGENT, url, namespace, serving, str(patience)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield Agent(process)
    finally:
        process.kill()
        process.communicate()


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout

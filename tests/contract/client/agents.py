"""Agents in processes of their own, which may be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Finishes the runs that it is told on standard input, and says so when `finish` has returned.
_AGENT = """
import sys
from learnops.client import Learner, Options
options = Options(first_snapshot_seconds=0.0, close_seconds=0.2)
default = {"prompts": {}}
learner = Learner("planner", api=sys.argv[1], namespace="agents", serving="planner-v1",
                  options=options)
for line in sys.stdin:
    learner.start(run_id=line.strip()).finish(metrics={"grounding": 1.0})
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
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for run in runs:
            self.process.stdin.write(f"{run}\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline().strip() == run

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> str:
        """Let it close its learner and end; what it counted."""
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        return out


@contextmanager
def agent(url: str, *, prelude: str = "", **environment: str) -> Iterator[Agent]:
    """An agent of the api at `url`; `prelude` is run first, in its process."""
    process = subprocess.Popen(
        [sys.executable, "-c", prelude + _AGENT, url],
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

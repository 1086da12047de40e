"""Agents that spool what they owe an api whose Postgres, disk or process the test stops."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from learnops.client import Learner, Options
from testbed.exposition import total
from testbed.waiting import wait_until
from tests.integration.server.conftest import TOKEN, Api
from tests.live_doer import LiveDoer

THREADS = 4
METRICS = {"grounding": 0.9, "contradictions": 0}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An api with a live canary, its run log, and the folder in which agents spool."""

    api: Api
    world: LiveDoer
    url: str
    spool: Path

    def learner(self, **options: float) -> Learner:
        """A learner whose bundles are spooled."""
        bounds = {
            "first_snapshot_seconds": 20.0,
            "registration_seconds": 1.0,
            "close_seconds": 0.2,
            **options,
        }
        return Learner(
            "planner",
            api=self.api.url,
            token=TOKEN,
            namespace=self.world.namespace,
            spool=self.spool,
            options=Options(**bounds),  # type: ignore[arg-type]
        )

    def agent_environment(self) -> dict[str, str]:
        """What an agent in a process of its own needs to know."""
        return {"LEARNOPS_TOKEN": TOKEN, "LEARNOPS_SPOOL": str(self.spool)}

    def rows(self, statement: str) -> list[tuple[str, ...]]:
        """Rows of the run log."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def stored(self) -> list[str]:
        """The run ids of the run log."""
        return sorted(run for (run,) in self.rows("SELECT run_id FROM runs"))

    def wait_stored(self, runs: set[str]) -> None:
        """Wait until they are there; each once, and scored once."""
        self.wait(lambda: len(self.stored()) >= len(runs), f"{len(runs)} runs in the log")
        assert self.stored() == sorted(runs)
        scored = sorted(run for (run,) in self.rows("SELECT run_id FROM crl_results"))
        assert scored == sorted(runs)

    def counted(self) -> float:
        """What `learnops_runs_total` says of the doer, over policies and arms."""
        text = str(self.api.get("/metrics", token=None).body)
        return total(text, "learnops_runs_total", namespace=self.world.namespace)

    def wait(self, check: Callable[[], object], what: str) -> None:
        """Wait with the api's log where it fails."""
        wait_until(check, what=what, deadline_seconds=60, explain=self.api.process.log_tail)


@pytest.fixture
def fault(live_api: tuple[Api, LiveDoer], tmp_path: Path) -> Fault:
    """The api on that server, with a canary at half of the traffic."""
    api, world = live_api
    world.renew_lease(create=True)
    return Fault(api=api, world=world, url=world.database, spool=tmp_path / "spool")


@dataclass
class Agents:
    """Threads of one process that share a learner and run until they are stopped."""

    learner: Learner
    finished: dict[str, tuple[str, float]] = field(default_factory=dict)  # run to arm and π
    seconds: list[float] = field(default_factory=list)  # that each `finish` took
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def working(self) -> Iterator[None]:
        """At work until the block ends."""
        threads = [threading.Thread(target=self._work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def registered(self) -> int:
        """Finished runs that the api had registered."""
        with self._lock:
            return sum(pi > 0 for _arm, pi in self.finished.values())

    def _work(self) -> None:
        # About 50 runs a second of each thread.
        while not self._stop.wait(0.02):
            run = self.learner.start()
            began = time.perf_counter()
            run.finish(metrics=METRICS)
            took = time.perf_counter() - began
            with self._lock:
                self.seconds.append(took)
                self.finished[run.id] = (run.arm, run.propensity)

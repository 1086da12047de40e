"""What agents owe the api reaches the run log once, whatever stops on the way."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest

from learnops.adapters.postgres.migrate import upgrade
from learnops.client import Learner, Options
from learnops.client.waiting import in_thread
from testbed.postgres import Postgres
from testbed.stack import Stack
from testbed.waiting import wait_until
from testbed.workdir import WorkDir
from tests.agents import agent
from tests.disks import mounted
from tests.integration.server.conftest import TOKEN, Api, launch
from tests.integration.server.world import World

OUTAGE_SECONDS = 30.0
THREADS = 4
METRICS = {"grounding": 0.9, "contradictions": 0}


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server that the test may stop."""
    work = WorkDir()
    server = Postgres(work).start()
    yield server
    server.stop()
    work.close()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An api with a live canary, its run log, and the folder in which agents spool."""

    api: Api
    world: World
    url: str
    spool: Path

    def learner(self, **options: float) -> Learner:
        """A learner whose bundles are spooled."""
        bounds = {"registration_seconds": 1.0, "close_seconds": 0.2, **options}
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
        lines = [line for line in text.splitlines() if line.startswith("learnops_runs_total{")]
        own = [line for line in lines if f'namespace="{self.world.namespace}"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in own)

    def wait(self, check: Callable[[], object], what: str) -> None:
        """Wait with the api's log where it fails."""
        wait_until(check, what=what, deadline_seconds=60, explain=self.api.process.log_tail)


@pytest.fixture
def fault(crds: Stack, postgres: Postgres, namespace: str, tmp_path: Path) -> Iterator[Fault]:
    """The api on that server, with a canary at half of the traffic."""
    url = postgres.create_database()
    upgrade(url)
    api = launch(
        url=url, kubeconfig=crds.plane.kubeconfig, namespace=namespace, log=tmp_path / "api.log"
    )
    world = World(kube=crds.plane.api, namespace=namespace, database=url)
    world.setup()
    api.start()
    world.renew_lease(create=True)
    made = Fault(api=api, world=world, url=url, spool=tmp_path / "spool")
    try:
        yield made
    finally:
        api.process.stop()


@dataclass
class Agents:
    """Threads of one process that share a learner and run until they are stopped."""

    learner: Learner
    finished: dict[str, tuple[str, float]] = field(default_factory=dict)  # run to arm and π
    slowest: float = 0.0  # seconds that a `finish` took
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
                self.slowest = max(self.slowest, took)
                self.finished[run.id] = (run.arm, run.propensity)


STOPS: dict[str, tuple[Callable[[Postgres], object], Callable[[Postgres], object]]] = {
    "frozen": (Postgres.freeze, Postgres.thaw),
    "killed": (Postgres.kill, Postgres.start),
}


@pytest.mark.parametrize("kind", STOPS)
def test_postgres_stopped_for_half_a_minute_under_agents(
    fault: Fault, postgres: Postgres, kind: str
) -> None:
    stop, again = STOPS[kind]
    learner = fault.learner(close_seconds=20.0)
    agents = Agents(learner)
    with ExitStack() as stack:
        stack.enter_context(learner)
        stack.callback(postgres.thaw)
        with agents.working():
            fault.wait(lambda: agents.registered() > 100, "registered runs")
            before = len(agents.finished)
            stop(postgres)
            stopped_at = time.monotonic()
            statuses = _answers(fault, until=stopped_at + OUTAGE_SECONDS)
            finished_meanwhile = len(agents.finished) - before
            on_disk = learner.stats()["bundles_on_disk"]
            again(postgres)
            registered = agents.registered()
            fault.wait(lambda: agents.registered() > registered + 50, "registration again")
        assert learner.flush(60)
        told = learner.stats()
    assert statuses[-1] == (503, "1")
    assert set(statuses) == {(503, "1")}
    assert finished_meanwhile > 100
    assert isinstance(on_disk, int)
    assert on_disk >= finished_meanwhile / 2  # the agents went on, and the disk has it
    assert "bundles_dropped" not in told
    assert agents.slowest < 0.05 + 2.0  # its bound, on a loaded machine
    fault.wait_stored(set(agents.finished))
    assert fault.counted() == len(agents.finished)
    _check_registrations(fault, agents)


def _answers(fault: Fault, *, until: float) -> list[tuple[int, str | None]]:
    """What another caller is told as long as it lasts: status and Retry-After, each in 8 s."""
    told = []
    # A write that changes nothing, whenever it is done.
    body = {"namespace": fault.world.namespace, "doer": "planner", "runIds": ["unknown"]}

    def long_enough() -> bool:
        began = time.monotonic()
        answer = fault.api.post("/v1/assignments:void", body)
        assert time.monotonic() - began < 8 + 2
        told.append((answer.status, answer.headers.get("Retry-After")))
        return time.monotonic() >= until

    # An answer may come at once; the outage goes on.
    wait_until(
        long_enough,
        what="the outage to have lasted",
        deadline_seconds=2 * OUTAGE_SECONDS,
        interval_seconds=1.0,
    )
    return told


def _check_registrations(fault: Fault, agents: Agents) -> None:
    """Registered runs are there with what they ran with, and no bundle counts as lost."""
    rows = fault.rows("SELECT run_id, arm, propensity, resolution FROM deployment_routings")
    routed = {run: (arm, pi, how) for run, arm, pi, how in rows}
    for run, (arm, pi) in agents.finished.items():
        if pi > 0:
            assert routed[run] == (arm, pi, "Bundle")
        elif run in routed:  # its registration came too late
            assert routed[run][2] in (None, "Void", "Bundle")
    assert "Timeout" not in {how for _arm, _pi, how in routed.values()}


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
        assert learner.flush(20)
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
        assert learner.flush(20)
        assert "signals_dropped" not in learner.stats()
    given = [("tests", "0.25"), ("tests", "0.75"), ("human", "1")]
    assert fault.rows(SIGNALS) == [(run, *signal) for run in sorted(runs) for signal in given]
    rewards = fault.rows("SELECT run_id, reward::text FROM run_rewards ORDER BY run_id")
    assert rewards == [(run, "0.8") for run in sorted(runs)]
    assert not list(fault.spool.glob("*/*/*.seg"))


PREFORK = """
import os, signal, sys
from learnops.client import Learner, Options
learner = Learner("planner", api=sys.argv[1], namespace=sys.argv[2],
                  options=Options(first_snapshot_seconds=20.0, close_seconds=20.0))
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
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[-9, 0, 0]"
    workers = {f"worker-{worker}-{turn}" for worker in range(3) for turn in range(20)}
    with fault.learner() as learner:  # finds what the killed one did not get rid of
        fault.wait_stored({"parent-0", "parent-1", *workers})
        assert learner.flush(20)
    assert fault.counted() == 62


def test_a_poisoned_record_costs_its_neighbours_nothing(fault: Fault) -> None:
    poison = {
        "rate": {"metrics": {"grounding": 7, "contradictions": 0}},
        "deep": {"metrics": METRICS, "qav": _nested(100)},
        "many": {"metrics": {f"m{number}": 1 for number in range(5000)}},
        "huge": {"metrics": METRICS, "qav": {"answer": "x" * 2**20}},
    }
    with fault.learner(batch_seconds=30.0) as learner:
        good = set()
        for name, sections in poison.items():
            for place in ("before", "after"):
                run = learner.start(run_id=f"{place}-{name}")
                run.finish(metrics=METRICS)
                good.add(run.id)
            run = learner.start(run_id=name)
            head = {"runId": name, "doer": "planner", "policy": run.policy.name}
            record = {**head, "namespace": fault.world.namespace, **sections}
            # `finish` would mend it; the SDKs of other versions and languages may not.
            in_thread(learner._engine.reporter.report(json.dumps(record).encode()))
        assert learner.flush(30)
    fault.wait_stored(good)
    (file,) = fault.spool.glob("*/refused.ndjson")
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    told = {one["body"]["runId"] if one["body"] else "huge": one["reason"] for one in letters}
    assert set(told) == set(poison)
    assert "metrics.grounding" in told["rate"]
    assert "1 MiB" in told["huge"]
    assert learner.stats()["dead_letters"] == len(poison)
    with fault.learner() as again:
        assert again.flush(20)
        assert again.stats().get("bundles_invalid") is None  # they are not sent once more


def _nested(depth: int) -> object:
    value: object = "end"
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB with nearly nothing left."""
    with mounted(tmp_path / "disk", options="size=64k") as at:
        (at / "other").write_bytes(b"x" * 56_000)
        yield at


def test_a_full_disk_and_no_postgres_at_once(
    fault: Fault, postgres: Postgres, full_disk: Path
) -> None:
    with Learner(
        "planner",
        api=fault.api.url,
        token=TOKEN,
        namespace=fault.world.namespace,
        spool=full_disk / "spool",
        options=Options(registration_seconds=1.0),
    ) as learner:
        agents = Agents(learner)
        with agents.working():
            fault.wait(lambda: agents.registered() > 20, "registered runs")
            postgres.kill()
            fault.wait(
                lambda: learner.stats().get("bundles_unspooled", 0) > 20,  # type: ignore[operator]
                "bundles for which the disk has no room",
            )
            postgres.start()
        assert learner.flush(60)
        assert "bundles_dropped" not in learner.stats()
    fault.wait_stored(set(agents.finished))
    assert fault.counted() == len(agents.finished)

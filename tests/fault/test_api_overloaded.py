"""More than the api can store: it says so in time, loses nothing and stays answerable."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from learnops.server.admission import AdmissionLimits
from learnops.server.deadline import ANSWER_SECONDS
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.server.conftest import Answer, Api, launch
from tests.live_doer import LiveDoer

CALLERS = 40
BATCHES = 2
RUNS = 250
NDJSON = {"Content-Type": "application/x-ndjson"}
# At 1,000 runs a second what may be inside at once is stored within it.
BOUND_SECONDS = 15.0
ALL_SECONDS = 180.0  # for everything that all callers have, on a loaded machine
MOST_INSIDE = AdmissionLimits().runs + RUNS  # the last one in may go beyond the limit
RETRY_AFTER_SECONDS = 1  # what the api says, and the callers do


@dataclass
class Seen:
    """What callers and probes were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    stored: list[str] = field(default_factory=list)
    slowest: float = 0.0
    probes: Counter[tuple[str, int]] = field(default_factory=Counter)
    probe_seconds: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)  # runs that waited to be stored
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: Answer, *, seconds: float, runs: list[str]) -> bool:
        """Whether it was stored."""
        with self.lock:
            self.statuses[answer.status] += 1
            if answer.status in (429, 503):
                assert answer.headers["Retry-After"] == f"{RETRY_AFTER_SECONDS}"
                if answer.status == 429:
                    assert answer.body["detail"].startswith("too much is waiting")
                else:
                    assert answer.body["detail"].startswith("no answer of the database within")
                    assert seconds >= ANSWER_SECONDS
                return False
            assert answer.status in (200, 201), answer.body
            self.slowest = max(self.slowest, seconds)
            self.stored += runs
            return True


@pytest.fixture
def served(
    crds: Stack, database: str, namespace: str, tmp_path: Path
) -> Iterator[tuple[Api, LiveDoer]]:
    """An api of its own, with a live canary."""
    world = LiveDoer(kube=crds.plane.api, namespace=namespace, database=database)
    world.setup()
    log = tmp_path / "api.log"
    api = launch(url=database, kubeconfig=crds.plane.kubeconfig, namespace=namespace, log=log)
    api.start()
    yield api, world
    api.process.stop()


def test_more_than_it_can_store_is_refused_in_time_and_stored_when_sent_again(
    served: tuple[Api, LiveDoer],
) -> None:
    api, world = served
    seen, done = Seen(), threading.Event()
    together = threading.Barrier(CALLERS)

    def call(caller: int) -> None:
        together.wait()
        for batch in range(BATCHES):
            runs = [f"{caller}-{batch}-{number}" for number in range(RUNS)]
            lines = "\n".join(json.dumps(world.bundle(run)) for run in runs).encode()
            _until_stored(seen, runs, _Batch(api, lines).send)
        alone = f"{caller}-alone"
        _until_stored(seen, [alone], lambda: api.post("/v1/runs", world.bundle(alone)))

    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        probing = pool.submit(_probe, api, seen, done)
        try:
            for each in [pool.submit(call, caller) for caller in range(CALLERS)]:
                each.result()
        finally:
            done.set()
        probing.result()
    took = time.monotonic() - began

    assert seen.statuses[429] > 0
    assert set(seen.statuses) <= {200, 201, 429, 503}
    assert seen.slowest < BOUND_SECONDS
    # Given up is a write only where the machine is too slow for what is let in.
    assert not seen.statuses[503] or len(seen.stored) / took < MOST_INSIDE / ANSWER_SECONDS
    assert 0 < max(seen.inside) < MOST_INSIDE
    assert set(seen.probes) == {("/livez", 200), ("/readyz", 200)}
    assert sorted(seen.probe_seconds)[len(seen.probe_seconds) * 95 // 100] < BOUND_SECONDS / 3
    _check_log(world.database, seen)
    assert api.series("learnops_runs_total", doer="planner") == len(seen.stored)


@dataclass
class _Batch:
    """One that is sent until it is stored."""

    api: Api
    lines: bytes
    given_up: bool = False

    def send(self) -> Answer:
        answer = self.api.call("POST", "/v1/runs:batch", raw=self.lines, headers=NDJSON)
        self.given_up = self.given_up or answer.status == 503
        if answer.status == 200:
            told = {result["status"] for result in answer.body["results"]}
            # Of a batch that was refused nothing is stored, of one that was given up perhaps all.
            assert told <= ({"accepted", "duplicate"} if self.given_up else {"accepted"})
        return answer


def _until_stored(seen: Seen, runs: list[str], send: Callable[[], Answer]) -> None:
    def stored() -> bool:
        began = time.monotonic()
        answer = send()
        return seen.note(answer, seconds=time.monotonic() - began, runs=runs)

    wait_until(
        stored,
        what=f"{runs[0]} to be stored",
        deadline_seconds=ALL_SECONDS,
        interval_seconds=RETRY_AFTER_SECONDS,
    )


def _probe(api: Api, seen: Seen, done: threading.Event) -> None:
    while not done.wait(0.05):
        for path in ("/livez", "/readyz"):
            began = time.monotonic()
            seen.probes[path, api.get(path, token=None).status] += 1
            seen.probe_seconds.append(time.monotonic() - began)
        seen.inside.append(api.series("learnops_waiting_items", queue="runs") or 0)


def _check_log(database: str, seen: Seen) -> None:
    with psycopg.connect(database) as connection:
        runs = connection.execute("SELECT run_id FROM runs").fetchall()
        losses = connection.execute("SELECT run_id FROM crl_results").fetchall()
    assert sorted(run for (run,) in runs) == sorted(seen.stored)
    assert sorted(runs) == sorted(losses)

"""What agents owe the api reaches the run log once, whatever stops on the way."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from learnops.client import Learner, Options
from testbed.postgres import Postgres
from testbed.waiting import wait_until
from tests.disks import mounted
from tests.fault.spooling import Agents, Fault, fault
from tests.integration.server.conftest import TOKEN

__all__ = ["fault"]  # fixtures

OUTAGE_SECONDS = 30.0
SDK_WAITS_SECONDS = 10.0
ASKERS = 5


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
            before = len(agents.seconds)
            stop(postgres)
            statuses, seconds = _answers(fault, until=time.monotonic() + OUTAGE_SECONDS)
            finish_seconds = sorted(agents.seconds[before:])
            on_disk = learner.stats()["bundles_on_disk"]
            again(postgres)
            registered = agents.registered()
            fault.wait(lambda: agents.registered() > registered + 50, "registration again")
        assert learner.flush(60)
        told = learner.stats()
    assert statuses[-1] == (503, "1")
    assert set(statuses) == {(503, "1")}
    assert statistics.median(seconds) < SDK_WAITS_SECONDS
    assert len(finish_seconds) > 100
    assert isinstance(on_disk, int)
    assert on_disk >= len(finish_seconds) / 2  # the agents went on, and the disk has it
    assert "bundles_dropped" not in told
    # Its bound, on a loaded machine; a few may have met a pause of that.
    assert finish_seconds[len(finish_seconds) * 95 // 100] < 0.05 + 2.0
    fault.wait_stored(set(agents.finished))
    assert fault.counted() == len(agents.finished)
    _check_registrations(fault, agents)


def _answers(fault: Fault, *, until: float) -> tuple[list[tuple[int, str | None]], list[float]]:
    """What other callers are told as long as it lasts: status and Retry-After, and in how long."""
    told, seconds = [], []
    # A write that changes nothing, whenever it is done.
    body = {"namespace": fault.world.namespace, "doer": "planner", "runIds": ["unknown"]}

    def ask() -> None:
        began = time.monotonic()
        answer = fault.api.post("/v1/assignments:void", body)
        seconds.append(time.monotonic() - began)
        told.append((answer.status, answer.headers.get("Retry-After")))

    def long_enough() -> bool:
        # Several: a pause of this machine is nothing that the api told anybody.
        for asked in [pool.submit(ask) for _ in range(ASKERS)]:
            asked.result()
        return time.monotonic() >= until

    with ThreadPoolExecutor(ASKERS) as pool:
        # An answer may come at once; the outage goes on.
        wait_until(
            long_enough,
            what="the outage to have lasted",
            deadline_seconds=2 * OUTAGE_SECONDS,
            interval_seconds=1.0,
        )
    return told, seconds


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
        options=Options(first_snapshot_seconds=20.0, registration_seconds=1.0),
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

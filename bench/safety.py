"""From the commit of the bundle that resolves a bad block to the Doer's traffic at control."""

import threading
import time
from collections.abc import Callable
from queue import Empty, Queue

import psycopg

from bench.crowd import TICK_SECONDS
from bench.figure import Figure, median, p99
from bench.objects import Objects
from bench.rig import Rig
from bench.runs import Feeder, Runs
from testbed.errors import TestbedError
from testbed.kubeapi import Json
from testbed.watcher import Watcher

REPETITIONS = 50
BLOCK = 10
_DOER = "guarded"
_DEADLINE_SECONDS = 30.0
_QUIET_SECONDS = 0.3

_RESOLVED_AT = """
SELECT extract(epoch FROM resolved_at)::float8 FROM deployment_routings
WHERE namespace = %s AND run_id = %s
"""


def alone(rig: Rig) -> list[Figure]:
    """One canary, nothing else; the tick is 10 s, so that only the wake-up can be in time."""
    objects = rig.objects("safety")
    runs = Runs(url=rig.api.url, token=rig.token, namespace=objects.namespace)
    with rig.operator(namespace=objects.namespace):
        objects.doer(_DOER)
        seconds = _repeat(objects, runs, database=rig.database)
    return [
        median("bad block → Doer at control, 1 canary", seconds, wanted=500),
        p99("bad block → Doer at control, 1 canary", seconds, wanted=1000),
    ]


def in_crowd(rig: Rig) -> list[Figure]:
    """Among 50 canaries with a run a second each, and 500 idle doers."""
    crowd = rig.crowd
    runs = Runs(url=rig.api.url, token=rig.token, namespace=crowd.objects.namespace, prefix="s")
    with rig.operator(namespace=crowd.objects.namespace, tick_seconds=TICK_SECONDS):
        crowd.wait_live()
        crowd.objects.doer(_DOER)
        feed = Runs(url=rig.api.url, token=rig.token, namespace=crowd.objects.namespace)
        feed.prefix = f"f{time.time_ns()}"
        with Feeder(feed, crowd.live):
            seconds = _repeat(crowd.objects, runs, database=rig.database)
    name = "bad block → Doer at control, 50 live and 500 idle"
    return [median(name, seconds), p99(name, seconds, wanted=1000)]


def _repeat(objects: Objects, runs: Runs, *, database: str) -> list[float]:
    with _Traffic(objects) as traffic, psycopg.connect(database, autocommit=True) as connection:
        traffic.until(lambda told: bool(told), what="the first policy")
        return [
            _once(objects, runs, traffic=traffic, connection=connection, number=number)
            for number in range(REPETITIONS)
        ]


def _once(
    objects: Objects,
    runs: Runs,
    *,
    traffic: "_Traffic",
    connection: psycopg.Connection,
    number: int,
) -> float:
    """One bad candidate; seconds from the commit to the watch's event."""
    objects.start_canary(_DOER, f"bad{number}")
    traffic.until(lambda told: bool(told.get("canary")), what="the canary's traffic")
    drawn = runs.registered(_DOER, count=BLOCK)
    bundles = [
        runs.bundle(_DOER, one, loss=1.0 if one["arm"] == "candidate" else 0.0) for one in drawn
    ]
    runs.report(bundles[:-1])
    # Until the wake-up that these nine caused is over: it must not serve the tenth as well.
    threading.Event().wait(_QUIET_SECONDS)
    runs.report(bundles[-1:])
    seen = traffic.until(lambda told: not told.get("canary"), what="control")
    row = connection.execute(_RESOLVED_AT, (objects.namespace, drawn[-1]["runId"])).fetchone()
    if row is None:
        raise TestbedError("the resolving run is not in the run log")
    return seen - float(row[0])


class _Traffic:
    """The doer's traffic as a watch of its own shows it, with the time at which it came."""

    def __init__(self, objects: Objects) -> None:
        self._seen: Queue[tuple[float, Json]] = Queue()
        self._watcher = Watcher(
            objects.kube, objects.path("doers"), self._handle, name="doer-traffic"
        )

    def until(self, accept: Callable[[Json], bool], *, what: str) -> float:
        """When traffic first was as wanted, as Unix time; raises TestbedError."""
        while True:
            try:
                at, told = self._seen.get(timeout=_DEADLINE_SECONDS)
            except Empty:
                raise TestbedError(f"waited {_DEADLINE_SECONDS:g} s for {what}") from None
            if accept(told):
                return at

    def _handle(self, _kind: str, doer: Json) -> None:
        if doer["metadata"]["name"] == _DOER:
            self._seen.put((time.time(), doer.get("status", {}).get("traffic") or {}))

    def __enter__(self) -> "_Traffic":
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.stop()

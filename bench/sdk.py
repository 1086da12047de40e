"""What an agent waits for: routing in the SDK, and registration while a canary is live."""

import tempfile
import time

from bench.figure import Figure, p99
from bench.rig import Rig
from bench.runs import Runs
from learnops.client import Learner
from testbed.waiting import wait_until

LOCAL = 20_000
FINISHED = 2_000
REGISTERED = 1_000
_DOER = "agent"


def run(rig: Rig) -> list[Figure]:
    """``Learner.start``, one after the other, in the process of the benchmark."""
    objects = rig.objects("sdk")
    runs = Runs(url=rig.api.url, token=rig.token, namespace=objects.namespace)
    with rig.operator(namespace=objects.namespace):
        objects.doer(_DOER)
        objects.wait_served(1)
        with Learner(
            _DOER,
            api=rig.api.url,
            token=rig.token,
            namespace=objects.namespace,
            spool="off",
        ) as learner:
            learner.start()
            local = _starts(learner, LOCAL)
            finishes = _finishes(rig, namespace=objects.namespace)
            objects.start_canary(_DOER, "v2")
            runs.registered(_DOER, count=1)
            wait_until(
                lambda: 0.0 < learner.start().propensity < 1.0,
                what="the SDK to see the canary",
                deadline_seconds=30,
            )
            registered = _starts(learner, REGISTERED)
            late = learner.stats().get("registrations_late") or 0
    return [
        *_microseconds("routing without a live canary", local, wanted=20.0),
        *_microseconds("finish, its bundle on disk", finishes, what="Run.finish whole"),
        *_milliseconds(registered),
        Figure(name="registrations later than 250 ms", value=late, unit="", at_most=0),
    ]


def _starts(learner: Learner, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        learner.start()
        seconds.append(time.perf_counter() - began)
    return seconds


def _finishes(rig: Rig, *, namespace: str) -> list[float]:
    """With a spool of its own, at the pace of an agent that does something in between."""
    seconds = []
    with (
        tempfile.TemporaryDirectory() as spool,
        Learner(
            _DOER, api=rig.api.url, token=rig.token, namespace=namespace, spool=spool
        ) as learner,
    ):
        for _ in range(FINISHED):
            run = learner.start()
            began = time.perf_counter()
            run.finish(metrics={"grounding": 0.9})
            seconds.append(time.perf_counter() - began)
            time.sleep(0.001)
        learner.flush(20)
    return seconds


def _microseconds(
    name: str,
    seconds: list[float],
    *,
    wanted: float | None = None,
    what: str = "Learner.start whole",
) -> list[Figure]:
    ordered = sorted(seconds)
    found = {"median": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100]}
    bounds = {"median": None, "p99": wanted}
    return [
        Figure(
            name=f"{name}, {which}",
            value=value * 1e6,
            unit="us",
            at_most=bounds[which],
            note=f"n = {len(ordered)}, {what}",
        )
        for which, value in found.items()
    ]


def _milliseconds(seconds: list[float]) -> list[Figure]:
    ordered = sorted(seconds)
    middle = ordered[len(ordered) // 2] * 1000
    name = "registration while a canary is live"
    note = f"n = {len(ordered)}, one agent"
    return [
        Figure(name=f"{name}, median", value=middle, unit="ms", note=note),
        p99(name, seconds, wanted=5.0),
    ]

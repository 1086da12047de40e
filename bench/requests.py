"""What the operator asks of the API server and of Prometheus, as these two count it."""

import threading
import time
from dataclasses import dataclass

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from bench.crowd import IDLE, LIVE, TICK_SECONDS
from bench.figure import Figure
from bench.rig import Measured, Rig
from bench.runs import Feeder, Runs
from testbed.exposition import total
from testbed.waiting import wait_until

TICKS = 4
_READS = frozenset({"GET", "LIST"})
_WRITES = frozenset({"PATCH", "PUT", "POST", "APPLY"})


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """Since the servers began: reads and writes of our kinds, and instant queries."""

    reads: float
    writes: float
    queries: float
    passes: float

    def since(self, before: "_Counts") -> "_Counts":
        pairs = {name: value - getattr(before, name) for name, value in vars(self).items()}
        return _Counts(**pairs)


def run(rig: Rig) -> list[Figure]:
    """Idle; with canaries whose evidence stands still; with a run a second for each of them."""
    crowd = rig.crowd
    namespace = crowd.objects.namespace
    with rig.operator(namespace=namespace, tick_seconds=TICK_SECONDS) as operator:
        crowd.objects.wait_served(IDLE)
        _wait_still(rig, operator)
        idle = _over_ticks(rig, operator)
        crowd.wait_live()
        feed = Runs(url=rig.api.url, token=rig.token, namespace=namespace)
        feed.prefix = f"q{time.time_ns()}"
        with Feeder(feed, crowd.live):
            _pause(TICK_SECONDS)  # the first block of each canary is under way
            busy = _over_ticks(rig, operator)
        _wait_still(rig, operator)
        still = _over_ticks(rig, operator)
    return [
        *_idle_figures(idle),
        *_figures(f"{LIVE} canaries, no new runs", still, most_writes=0.0),
        *_figures(f"{LIVE} canaries, a run a second each", busy, most_writes=1.0),
    ]


def _idle_figures(idle: _Counts) -> list[Figure]:
    name = f"{IDLE} idle doers"
    asked = idle.reads + idle.writes
    return [
        Figure(name=f"{name}: requests a tick", value=asked / TICKS, unit="", at_most=0),
        Figure(name=f"{name}: queries a tick", value=idle.queries / TICKS, unit="", at_most=0),
    ]


def _figures(name: str, counts: _Counts, *, most_writes: float) -> list[Figure]:
    each = LIVE * TICKS
    note = f"{counts.passes / each:.1f} passes"
    return [
        Figure(
            name=f"{name}: reads per canary and tick", value=counts.reads / each, unit="", at_most=0
        ),
        Figure(
            name=f"{name}: patches per canary and tick",
            value=counts.writes / each,
            unit="",
            at_most=most_writes,
            note=note,
        ),
        Figure(
            name=f"{name}: Prometheus queries a tick, for all",
            value=counts.queries / TICKS,
            unit="",
            at_most=1.2,
            note=f"{LIVE // 2} canaries read Prometheus",
        ),
    ]


def _wait_still(rig: Rig, operator: Measured) -> None:
    """Wait for a tick without a request: what start or the last runs left to do is done then."""
    before = [_now(rig, operator)]

    def still() -> bool:
        _pause(TICK_SECONDS)
        before.append(_now(rig, operator))
        delta = before[-1].since(before[-2])
        return delta.reads + delta.writes == 0

    wait_until(still, what="a tick without a request", deadline_seconds=60)


def _over_ticks(rig: Rig, operator: Measured) -> _Counts:
    before = _now(rig, operator)
    _pause(TICKS * TICK_SECONDS)
    return _now(rig, operator).since(before)


def _now(rig: Rig, operator: Measured) -> _Counts:
    plane = rig.stack.plane
    answer = urllib3.PoolManager(ca_certs=str(plane.ca_file)).request(
        "GET", f"{plane.url}/metrics", headers={"Authorization": f"Bearer {plane.token}"}
    )
    reads = writes = 0.0
    for family in text_string_to_metric_families(answer.data.decode()):
        if family.name != "apiserver_request":
            continue
        for sample in family.samples:
            labels = sample.labels
            if labels["group"] == "learnops.dev":
                reads += sample.value * (labels["verb"] in _READS)
                writes += sample.value * (labels["verb"] in _WRITES)
    own = urllib3.request("GET", f"{rig.stack.prometheus.url}/metrics", timeout=5).data.decode()
    return _Counts(
        reads=reads,
        writes=writes,
        queries=total(own, "prometheus_http_requests_total", handler="/api/v1/query"),
        passes=operator.total("learnops_reconcile_total"),
    )


def _pause(seconds: float) -> None:
    """Let time pass: the figures are per time, nothing is waited for."""
    threading.Event().wait(seconds)

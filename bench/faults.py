"""Four ways in which Prometheus can fail, and what becomes of a live canary."""

import http.server
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from bench.figure import Figure
from bench.objects import Objects
from bench.rig import Rig
from bench.runs import Feeder, Runs
from testbed.errors import TestbedError
from testbed.kubeapi import Json
from testbed.ports import LOOPBACK
from testbed.waiting import wait_until

TICK_SECONDS = 1.0
_WATCHED_SECONDS = 5.0
_DOER = "counted"
_GOOD = "EvidenceAvailable"

Fault = Callable[[Rig, Json], AbstractContextManager[None]]


def run(rig: Rig) -> list[Figure]:
    """Each fault on the same live canary, one after the other; it must outlive them all."""
    objects = rig.objects("faults")
    runs = Runs(url=rig.api.url, token=rig.token, namespace=objects.namespace)
    with rig.operator(namespace=objects.namespace, tick_seconds=TICK_SECONDS):
        objects.doer(_DOER, source="Prometheus")
        objects.wait_served(1)
        objects.start_canary(_DOER, "v2")
        objects.wait_live(1)
        drawn = runs.registered(_DOER, count=10)
        runs.report([runs.bundle(_DOER, one, loss=0.3) for one in drawn])
        with Feeder(runs, [_DOER]):
            canary = _Canary(objects=objects)
            canary.wait(available=True)
            return [_one(rig, canary, name=name, fault=fault) for name, fault in FAULTS.items()]


@dataclass(frozen=True, kw_only=True)
class _Canary:
    """The live canary as the API server has it."""

    objects: Objects

    def wait(self, *, available: bool) -> tuple[float, str]:
        """Seconds until its evidence is (not) available, and the reason."""
        began = time.monotonic()
        told = wait_until(
            lambda: (found := self._condition()) and found["status"] == str(available) and found,
            what=f"{_GOOD}={available}",
            deadline_seconds=60,
            explain=lambda: str(self._condition()),
        )
        return time.monotonic() - began, told["reason"]

    def traffic(self) -> Json:
        """What the doer serves."""
        found: Json = self.objects.kube.get(self.objects.path("doers", _DOER))["status"]["traffic"]
        return found

    def _condition(self) -> Json | None:
        (canary,) = self.objects.all("canarydeployments")
        conditions = canary.get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == _GOOD), None)


def _one(rig: Rig, canary: _Canary, *, name: str, fault: Fault) -> Figure:
    before = canary.traffic()
    with fault(rig, before):
        seconds, reason = canary.wait(available=False)
        threading.Event().wait(_WATCHED_SECONDS)  # long enough for a few ticks on bad ground
        held = canary.traffic() == before
    back, _ = canary.wait(available=True)
    if not held:
        raise TestbedError(f"Prometheus {name}: the canary's traffic changed")
    return Figure(
        name=f"Prometheus {name}: canary held, condition after",
        value=seconds,
        unit="s",
        note=f"reason {reason}; traffic unchanged; good again {back:.1f} s after the end",
    )


@contextmanager
def _refused(rig: Rig, _traffic: Json) -> Iterator[None]:
    rig.stack.prometheus.stop()
    yield
    rig.stack.prometheus.start()


@contextmanager
def _hanging(rig: Rig, _traffic: Json) -> Iterator[None]:
    rig.stack.prometheus.process.signal(signal.SIGSTOP)
    yield
    rig.stack.prometheus.process.signal(signal.SIGCONT)


@contextmanager
def _empty(rig: Rig, _traffic: Json) -> Iterator[None]:
    target = rig.api.url.removeprefix("http://")
    rig.stack.prometheus.stop_scraping("learnops-api")
    yield
    rig.stack.prometheus.scrape("learnops-api", [target])


@contextmanager
def _nan(rig: Rig, traffic: Json) -> Iterator[None]:
    """A second process of the api whose counters of this very rollout say NaN."""
    (namespace,) = {
        one["metadata"]["namespace"]
        for one in rig.stack.plane.api.get("/apis/learnops.dev/v1alpha1/doers")["items"]
        if one["metadata"]["name"] == _DOER
    }
    labels = (
        f'process="nan",namespace="{namespace}",doer="{_DOER}",policy="{_DOER}-v2",arm="candidate",'
        f'epoch="{traffic["revision"]}"'
    )
    figures = ("runs", "loss_sum", "loss_sumsq")
    body = "".join(f"learnops_evidence_{one}_total{{{labels}}} NaN\n" for one in figures).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rig.stack.prometheus.scrape("nan", [f"{LOOPBACK}:{server.server_port}"])
        yield
        rig.stack.prometheus.stop_scraping("nan")
        server.shutdown()


FAULTS: dict[str, Fault] = {"refused": _refused, "hanging": _hanging, "NaN": _nan, "empty": _empty}

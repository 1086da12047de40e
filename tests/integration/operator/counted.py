"""Agents whose runs only Prometheus knows of: the evidence counters of an api, as it exposes them.

The api's way from a run to its counters has tests of its own; here the operator is tested, which
sees nothing but the scrape.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from learnops.adapters.prometheus_answer import LOSS_SUM, LOSS_SUMSQ, PREFIX_LAG, RUNS, TIMEOUTS
from testbed.kubeapi import Json
from testbed.ports import LOOPBACK
from testbed.stack import Stack
from tests.integration.operator.agents import Agents


@dataclass(kw_only=True)
class Counters:
    """What /metrics shows: runs, losses, their squares and timeouts by arm and epoch.

    No run times out, and the prefix holds every run at once.
    """

    _series: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0] * 4))
    _doers: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, doer: dict[str, str], runs: Iterable[tuple[dict[str, str], float]]) -> None:
        """Runs of a doer, each an arm and its loss: a scrape sees all of them or none."""
        with self._lock:
            self._doers.add(_labels(doer))
            for arm, loss in runs:
                series = self._series[_labels({**doer, **arm})]
                series[0] += 1
                series[1] += loss
                series[2] += loss * loss

    def exposition(self) -> bytes:
        """The text format."""
        with self._lock:
            lines = [
                f"{name}{{{labels}}} {values[place]!r}"
                for place, name in enumerate((RUNS, LOSS_SUM, LOSS_SUMSQ, TIMEOUTS))
                for labels, values in self._series.items()
            ]
            lines += [f"{PREFIX_LAG}{{{labels}}} 0" for labels in self._doers]
        return "\n".join([*lines, ""]).encode()


@dataclass(kw_only=True)
class CountedAgents(Agents):
    """As Agents; their runs are counted and not registered."""

    counters: Counters
    database: str = ""

    def _report(
        self, traffic: Json, propensity: float, policies: list[str], losses: list[float]
    ) -> None:
        doer = {
            "namespace": self.objects.namespace,
            "doer": self.doer,
            "process": "counted-agents",
        }
        epoch = str(traffic["revision"])
        arms = [
            {
                "policy": policy,
                "arm": "control" if policy == traffic["active"] else "candidate",
                "epoch": epoch,
            }
            for policy in policies
        ]
        self.counters.add(doer, zip(arms, losses, strict=True))


def _labels(names: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in names.items())


@contextmanager
def scraped(stack: Stack) -> Iterator[Counters]:
    """Counters that the stack's Prometheus scrapes meanwhile."""
    counters = Counters()
    with exposed(stack, counters.exposition, job="counted-agents"):
        yield counters


@contextmanager
def exposed(stack: Stack, exposition: Callable[[], bytes], *, job: str) -> Iterator[None]:
    """Have the stack's Prometheus scrape a text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(exposition())

        def log_message(self, *_: object) -> None:
            """The test's output is not its log."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    stack.prometheus.scrape(job, [f"{LOOPBACK}:{server.server_port}"])
    try:
        yield
    finally:
        stack.prometheus.stop_scraping(job)
        server.shutdown()
        server.server_close()
        serving.join()

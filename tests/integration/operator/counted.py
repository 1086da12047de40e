"""Agents whose runs only Prometheus knows of: the evidence counters of an api, as it exposes them.

The api's way from a run to its counters has tests of its own; here the operator is tested, which
sees nothing but the scrape.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from learnops.adapters.prometheus_answer import LOSS_SUM, LOSS_SUMSQ, RUNS
from testbed.kubeapi import Json
from testbed.ports import LOOPBACK
from testbed.stack import Stack
from tests.integration.operator.agents import Agents


@dataclass(kw_only=True)
class Counters:
    """What /metrics shows: runs, losses and their squares by arm and epoch."""

    _series: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0] * 3))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, labels: str, loss: float) -> None:
        with self._lock:
            series = self._series[labels]
            series[0] += 1
            series[1] += loss
            series[2] += loss * loss

    def exposition(self) -> bytes:
        """The text format."""
        with self._lock:
            lines = [
                f"{name}{{{labels}}} {values[place]!r}"
                for place, name in enumerate((RUNS, LOSS_SUM, LOSS_SUMSQ))
                for labels, values in self._series.items()
            ]
        return "\n".join([*lines, ""]).encode()


@dataclass(kw_only=True)
class CountedAgents(Agents):
    """As Agents; their runs are counted and not registered."""

    counters: Counters
    database: str = ""

    def _report(
        self, traffic: Json, propensity: float, policies: list[str], losses: list[float]
    ) -> None:
        for policy, loss in zip(policies, losses, strict=True):
            labels = {
                "namespace": self.objects.namespace,
                "doer": self.doer,
                "policy": policy,
                "arm": "control" if policy == traffic["active"] else "candidate",
                "epoch": traffic["revision"],
                "process": "counted-agents",
            }
            text = ",".join(f'{name}="{value}"' for name, value in labels.items())
            self.counters.add(text, loss)


@contextmanager
def scraped(stack: Stack) -> Iterator[Counters]:
    """Counters that the stack's Prometheus scrapes meanwhile."""
    counters = Counters()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(counters.exposition())

        def log_message(self, *_: object) -> None:
            """The test's output is not its log."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    stack.prometheus.scrape("counted-agents", [f"{LOOPBACK}:{server.server_port}"])
    try:
        yield counters
    finally:
        stack.prometheus.stop_scraping("counted-agents")
        server.shutdown()
        server.server_close()
        serving.join()

"""`learnops operator` as a process of the test."""

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from testbed.service import service_process
from testbed.stack import Stack
from testbed.waiting import wait_until


@dataclass(kw_only=True)
class OperatorProcess:
    """One operator; `changes` are further flags by name (`_` for `-`). No namespace: all."""

    stack: Stack
    kubeconfig: Path
    namespace: str | None
    database: str
    url: str
    changes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        port = int(self.url.rsplit(":", 1)[1])
        flags = {
            "kubeconfig": str(self.kubeconfig),
            **({"namespace": self.namespace} if self.namespace else {}),
            "prometheus-url": self.stack.prometheus.url,
            "lease-namespace": "learnops-system",
            # Who holds it ends itself after two thirds of this without a renewal, and nobody starts
            # it again: tests that wait for it to expire pass less.
            "lease-seconds": "15",
            "tick-seconds": "0.5",
            "log-format": "json",
            **{name.replace("_", "-"): value for name, value in self.changes.items()},
        }
        self.log = self.stack.work.logs / f"operator-{port}.log"
        self.process = service_process(
            "operator",
            *(part for name, one in flags.items() for part in (f"--{name}", one)),
            port=port,
            log=self.log,
            environment={**os.environ, "LEARNOPS_DATABASE_URL": self.database},
            name=f"operator-{port}",
            forked=True,
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_ready(lambda: self.status("/livez") == 200)

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL: nothing of it can react."""
        self.process.signal(signal.SIGKILL)
        self.process.wait(timeout_seconds=30)

    def status(self, path: str) -> int:
        """The status of a probe; 0 when nothing answers."""
        answer = self._asked(path)
        return 0 if answer is None else answer.status

    def phase(self) -> str:
        """What it says that it is doing; nothing where it does not answer."""
        answer = self._asked("/readyz")
        return "" if answer is None else answer.data.decode()

    def wait_phase(self, phase: str) -> None:
        """Wait until it says so."""
        wait_until(
            lambda: self.phase() == phase,
            what=f"phase {phase}",
            deadline_seconds=60,
            explain=self.explain,
        )

    def explain(self) -> str:
        """Its phase and the end of its log."""
        return f"{self.phase()}\n{self.process.log_tail()}"

    def metrics(self) -> str:
        """The text of /metrics."""
        answer = wait_until(
            lambda: self._asked("/metrics"),
            what="the operator's metrics",
            deadline_seconds=30,
            explain=self.process.log_tail,
        )
        return answer.data.decode()

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, but for the line that it is writing."""
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line[:1] == "{"]

    def _asked(self, path: str) -> urllib3.BaseHTTPResponse | None:
        try:
            return urllib3.request("GET", self.url + path, timeout=10, retries=False)
        except urllib3.exceptions.HTTPError:
            return None

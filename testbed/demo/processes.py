"""The product's processes as the demo runs them: the same commands a pod would run."""

import contextlib
import os
import secrets
import subprocess
import sys
from pathlib import Path

import urllib3

from testbed.demo.cluster import NAMESPACE
from testbed.errors import TestbedError
from testbed.ports import LOOPBACK, free_ports
from testbed.process import ManagedProcess
from testbed.stack import Stack

AGENTS_PER_DOER = 2
RUNS_PER_SECOND = 50  # of each agent process


class Product:
    """Database schema, api, operator and simulated agents on a stack; `stop` ends them all."""

    def __init__(self, stack: Stack, *, root: Path) -> None:
        self._stack = stack
        self._root = root
        self._token = secrets.token_urlsafe(24)
        self._processes = contextlib.ExitStack()
        self._all: list[ManagedProcess] = []
        api_port, probe_port = free_ports(2)
        self.api_url = f"http://{LOOPBACK}:{api_port}"
        self.operator_url = f"http://{LOOPBACK}:{probe_port}"
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(stack.plane.kubeconfig),
            "LEARNOPS_DATABASE_URL": stack.postgres.create_database(),
            "LEARNOPS_DEV_TOKEN": self._token,
            "LEARNOPS_API": self.api_url,
            "LEARNOPS_TOKEN": self._token,
            "LEARNOPS_NAMESPACE": NAMESPACE,
        }

    def migrate(self) -> None:
        """Bring the database to this version's schema."""
        command = [sys.executable, "-m", "learnops.cli.main", "db", "upgrade"]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise TestbedError(f"learnops db upgrade failed:\n{done.stderr.strip()}")

    def start(self) -> None:
        """Start api and operator, wait until both are ready, and let Prometheus scrape them."""
        api_port, probe_port = (url.rsplit(":", 1)[1] for url in (self.api_url, self.operator_url))
        api = self._launch("api", "--port", api_port)
        operator = self._launch(
            "operator",
            *("--probe-port", probe_port, "--tick-seconds", "1", "--log-format", "text"),
            *("--prometheus-url", self._stack.prometheus.url),
        )
        api.wait_ready(lambda: _answers(f"{self.api_url}/readyz"))
        operator.wait_ready(lambda: _answers(f"{self.operator_url}/readyz"))
        for job, url in (("learnops-api", self.api_url), ("learnops-operator", self.operator_url)):
            self._stack.prometheus.scrape(job, [url.removeprefix("http://")])

    def start_agents(self, doer: str, *, truth: Path) -> None:
        """Start the doer's agents, each a process of its own that works through the SDK."""
        for number in range(AGENTS_PER_DOER):
            self._launch(
                "simulate",
                *("--doer", doer, "--truth", str(truth)),
                *("--rate", str(RUNS_PER_SECOND), "--seed", str(number + 1)),
                name=f"agent-{doer}-{number + 1}",
            )

    def failed(self) -> ManagedProcess | None:
        """A process that ended although nobody asked it to."""
        return next((one for one in self._all if not one.running), None)

    def stop(self) -> None:
        """Stop everything, agents first; idempotent."""
        self._processes.close()

    @property
    def token(self) -> str:
        """The development token of this demo's api."""
        return self._token

    def _launch(self, command: str, *arguments: str, name: str | None = None) -> ManagedProcess:
        process = ManagedProcess(
            name=name or command,
            command=[sys.executable, "-m", "learnops.cli.main", command, *arguments],
            log=self._stack.work.logs / f"{name or command}.log",
            env=self._environment,
            cwd=self._root,
        )
        process.start()
        self._all.append(process)
        self._processes.callback(process.stop)
        return process


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, timeout=2, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False

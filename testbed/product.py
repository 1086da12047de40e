"""The product's processes on a stack: the same commands a pod would run."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import urllib3

from testbed.errors import TestbedError
from testbed.ports import LOOPBACK, free_port
from testbed.process import ManagedProcess
from testbed.stack import Stack
from testbed.template import LEARNOPS, ForkedProcess

AGENTS_PER_DOER = 2
RUNS_PER_SECOND = 50.0  # of each agent process


class Service:
    """One long-running process of the product, with `/readyz` and `/metrics` at ``url``."""

    def __init__(self, process: ManagedProcess, *, url: str) -> None:
        self.process = process
        self.url = url

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it says that it is ready; raises TestbedError with the log's tail."""
        self.process.wait_ready(lambda: self.get("/readyz") is not None)

    def get(self, path: str) -> str | None:
        """What it answers; None: nobody there, or not with 200."""
        try:
            answer = urllib3.request("GET", self.url + path, timeout=5, retries=False)
        except urllib3.exceptions.HTTPError:
            return None
        return answer.data.decode() if answer.status == 200 else None


class Product:
    """Database schema, api, operator and simulated agents on a stack; `stop` ends them all.

    ``environment`` is added to every process's (settings such as LEARNOPS_NAMESPACES), the flags
    to the one's command line. ``operator_kubeconfig`` is whom the operator is; default: admin.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        root: Path,
        namespace: str,
        logs: Path | None = None,
        database_url: str | None = None,
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
        operator_kubeconfig: Path | None = None,
        operator_flags: tuple[str, ...] = ("--tick-seconds", "1", "--log-format", "text"),
        api_flags: tuple[str, ...] = (),
        forked: bool = False,
    ) -> None:
        self._stack = stack
        self._root = root
        self._forked = ("api", "operator") if forked else ()
        self.logs = logs or stack.work.logs
        self.token = token or secrets.token_urlsafe(24)
        self.database_url = database_url or stack.postgres.create_database()
        self._processes = contextlib.ExitStack()
        self._all: list[ManagedProcess] = []
        self._operator_flags = operator_flags
        self._operator_kubeconfig = operator_kubeconfig or stack.plane.kubeconfig
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(stack.plane.kubeconfig),
            "LEARNOPS_DATABASE_URL": self.database_url,
            "LEARNOPS_DEV_TOKEN": self.token,
            "LEARNOPS_TOKEN": self.token,
            "LEARNOPS_NAMESPACE": namespace,
            **(environment or {}),
        }
        self.api = self._service("api", "--port", *api_flags)
        self._environment["LEARNOPS_API"] = self.api.url
        self.operator = self.another_operator("operator")

    def migrate(self) -> None:
        """Bring the database to this version's schema."""
        done = subprocess.run(
            [*LEARNOPS, "db", "upgrade"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise TestbedError(f"learnops db upgrade failed:\n{done.stderr.strip()}")

    def start(self) -> None:
        """Start api and operator, wait until both are ready, and let Prometheus scrape them."""
        services = {"learnops-api": self.api, "learnops-operator": self.operator}
        for service in services.values():
            service.process.start()
        for job, service in services.items():
            service.wait_ready()
            self._stack.prometheus.scrape(job, [service.url.removeprefix("http://")])

    def another_operator(self, name: str) -> Service:
        """One more instance of the operator, not started yet."""
        flags = ("--kubeconfig", str(self._operator_kubeconfig), *self._operator_flags)
        flags = (*flags, "--prometheus-url", self._stack.prometheus.url)
        return self._service("operator", "--probe-port", *flags, name=name)

    def start_agents(
        self,
        doer: str,
        *,
        truth: Path,
        count: int = AGENTS_PER_DOER,
        rate: float = RUNS_PER_SECOND,
        flags: tuple[str, ...] = (),
    ) -> list[ManagedProcess]:
        """Start the doer's agents, each a process of its own that works through the SDK."""
        agents = []
        for number in range(1, count + 1):
            told = ("--doer", doer, "--truth", str(truth), "--rate", str(rate))
            agent = self._process(
                "simulate", *told, "--seed", str(number), *flags, name=f"agent-{doer}-{number}"
            )
            agents.append(agent.start())
        return agents

    def failed(self) -> ManagedProcess | None:
        """A process that was started and has ended although nobody asked it to."""
        ended = (one for one in self._all if one.returncode is not None)
        return next(ended, None)

    def stop(self) -> None:
        """Stop everything, agents first; idempotent."""
        self._processes.close()

    def _service(self, command: str, port_flag: str, *flags: str, name: str = "") -> Service:
        port = free_port()
        process = self._process(command, port_flag, str(port), *flags, name=name or command)
        return Service(process, url=f"http://{LOOPBACK}:{port}")

    def _process(self, command: str, *arguments: str, name: str) -> ManagedProcess:
        kind = ForkedProcess if command in self._forked else ManagedProcess
        process = kind(
            name=name,
            command=[*LEARNOPS, command, *arguments],
            log=self.logs / f"{name}.log",
            env=self._environment,
            cwd=self._root,
        )
        self._all.append(process)
        self._processes.callback(process.stop)
        return process

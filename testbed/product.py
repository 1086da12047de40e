"""The product's processes on a stack: the same commands a pod would run."""

import contextlib
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from testbed.errors import TestbedError
from testbed.ports import free_port
from testbed.process import ManagedProcess
from testbed.service import Service, service_process, url_of
from testbed.stack import Stack
from testbed.template import LEARNOPS

AGENTS_PER_DOER = 2
RUNS_PER_SECOND = 50.0  # of each agent process


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
        self._forked = forked
        self.logs = logs or stack.work.logs
        self.token = token or secrets.token_urlsafe(24)
        self.database_url = database_url or stack.postgres.create_database()
        self._ending = contextlib.ExitStack()
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
        self.api = self._service("api", *api_flags)
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
            self._ending.callback(self._stack.prometheus.stop_scraping, job)
            self._stack.prometheus.scrape(job, [service.url.removeprefix("http://")])

    def another_operator(self, name: str) -> Service:
        """One more instance of the operator, not started yet."""
        flags = ("--kubeconfig", str(self._operator_kubeconfig), *self._operator_flags)
        flags = (*flags, "--prometheus-url", self._stack.prometheus.url)
        return self._service("operator", *flags, name=name)

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
            agent = self._agent(f"agent-{doer}-{number}", *told, "--seed", str(number), *flags)
            agents.append(agent.start())
        return agents

    def failed(self) -> ManagedProcess | None:
        """A process that was started and has ended although nobody asked it to."""
        ended = (one for one in self._all if one.returncode is not None)
        return next(ended, None)

    def stop(self) -> None:
        """Stop everything, agents first, and the scraping; idempotent."""
        self._ending.close()

    def _service(self, command: Literal["api", "operator"], *flags: str, name: str = "") -> Service:
        port, name = free_port(), name or command
        process = service_process(
            command,
            *flags,
            port=port,
            log=self.logs / f"{name}.log",
            environment=self._environment,
            name=name,
            root=self._root,
            forked=self._forked,
        )
        return Service(self._ended(process), url=url_of(port))

    def _agent(self, name: str, *arguments: str) -> ManagedProcess:
        process = ManagedProcess(
            name=name,
            command=[*LEARNOPS, "simulate", *arguments],
            log=self.logs / f"{name}.log",
            env=self._environment,
            cwd=self._root,
        )
        return self._ended(process)

    def _ended(self, process: ManagedProcess) -> ManagedProcess:
        """The process, which `stop` ends."""
        self._all.append(process)
        self._ending.callback(process.stop)
        return process

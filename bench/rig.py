"""What benchmarks run on: the product's own processes on the testbed's real servers."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal

import psutil

from bench.crowd import Crowd, make_crowd
from bench.objects import Objects
from learnops.adapters.postgres.migrate import upgrade
from testbed.ports import free_port
from testbed.service import Service, service_process, url_of
from testbed.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
_OPERATOR_NAMESPACE = "learnops-system"


class Measured(Service):
    """A process of the product, and what it costs the machine."""

    def resident_mebibytes(self) -> float:
        """Its resident memory now."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def cpu_seconds(self) -> float:
        """Processor time it has used: what other work on the machine does not change."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


class Rig:
    """A context manager; each part is started when a benchmark first asks for it."""

    def __init__(self) -> None:
        self._cleanup = contextlib.ExitStack()
        self.token = secrets.token_urlsafe(24)

    @cached_property
    def stack(self) -> Stack:
        """The real servers, with our CRDs."""
        stack = self._cleanup.enter_context(Stack(scrape_interval_seconds=0.5))
        crds = [f"--filename={path}" for path in sorted((ROOT / "crds").glob("*.yaml"))]
        stack.plane.kubectl("apply", "--server-side", *crds)
        stack.plane.wait_established()
        stack.plane.kubectl("apply", "--server-side", f"--filename={ROOT / 'config/rbac.yaml'}")
        return stack

    @cached_property
    def database(self) -> str:
        """URL of a database with the run log's schema."""
        url = self.stack.postgres.create_database("bench")
        upgrade(url)
        return url

    @cached_property
    def api(self) -> Measured:
        """`learnops api`, scraped by Prometheus."""
        api = self._service("api", "--ttl-seconds", "0")
        api.start()
        self._cleanup.callback(api.process.stop)
        self.stack.prometheus.scrape("learnops-api", [api.url.removeprefix("http://")])
        return api

    @cached_property
    def crowd(self) -> Crowd:
        """500 idle doers in a namespace of their own."""
        return make_crowd(self.objects("crowd"))

    def postgres_seconds(self) -> float:
        """Processor time of Postgres' processes, those that have ended included."""
        return tree_seconds(self.stack.postgres.process.pid)

    def postgres_mebibytes(self) -> float:
        """Memory of Postgres' processes; what several of them share counts once."""
        tree = tree_of(self.stack.postgres.process.pid)
        return sum(float(process.memory_full_info().pss) for process in tree) / 2**20

    @contextlib.contextmanager
    def operator(self, *, namespace: str, tick_seconds: float = 10.0) -> Iterator[Measured]:
        """`learnops operator` of one namespace, under the operator's own rights."""
        operator = self.idle_operator(namespace=namespace, tick_seconds=tick_seconds)
        operator.start()
        try:
            yield operator
        finally:
            operator.process.stop()

    def idle_operator(self, *, namespace: str, tick_seconds: float = 10.0) -> Measured:
        """The same, not started."""
        rights = self.stack.plane.kubeconfig_for_service_account(
            _OPERATOR_NAMESPACE, "learnops-operator"
        )
        return self._service(
            "operator",
            *("--namespace", namespace, "--kubeconfig", str(rights)),
            *("--tick-seconds", str(tick_seconds), "--log-format", "text"),
            *("--prometheus-url", self.stack.prometheus.url),
            *("--lease-namespace", _OPERATOR_NAMESPACE),
        )

    def objects(self, prefix: str) -> Objects:
        """A namespace of its own."""
        return Objects(kube=self.stack.plane.api, namespace=self.stack.namespace(prefix))

    def _service(self, command: Literal["api", "operator"], *flags: str) -> Measured:
        port = free_port()
        process = service_process(
            command,
            *flags,
            port=port,
            log=self.stack.work.logs / f"{command}-{port}.log",
            environment={
                **os.environ,
                "KUBECONFIG": str(self.stack.plane.kubeconfig),
                "LEARNOPS_DATABASE_URL": self.database,
                "LEARNOPS_DEV_TOKEN": self.token,
            },
        )
        return Measured(process, url=url_of(port))

    def __enter__(self) -> "Rig":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()


def tree_of(pid: int) -> list[psutil.Process]:
    """A process and all below it, the process itself first."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def tree_seconds(pid: int) -> float:
    """Processor time of a process and all below it, those that have ended included."""
    times = [process.cpu_times() for process in tree_of(pid)]
    ended = times[0].children_user + times[0].children_system
    return float(ended + sum(each.user + each.system for each in times))

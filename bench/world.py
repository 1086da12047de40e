"""What is measured: the product's own processes on the testbed's real servers."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType

import psutil
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from bench.crowd import Crowd, make_crowd
from bench.objects import Objects
from learnops.adapters.postgres.migrate import upgrade
from testbed.ports import LOOPBACK, free_port
from testbed.process import ManagedProcess
from testbed.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
_OPERATOR_NAMESPACE = "learnops-system"


class Service:
    """One process of the product, with an HTTP port of its own."""

    def __init__(self, *, process: ManagedProcess, url: str) -> None:
        self.process = process
        self.url = url

    def start(self) -> "Service":
        """Start it and wait until /readyz is good; TestbedError with the log's tail."""
        self.process.start()
        self.process.wait_ready(self._ready)
        return self

    def resident_mebibytes(self) -> float:
        """Its resident memory now."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def cpu_seconds(self) -> float:
        """Processor time it has used: what other work on the machine does not change."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def total(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        text = urllib3.request("GET", f"{self.url}/metrics", timeout=5, retries=False).data
        return total(text.decode(), metric, **labels)

    def _ready(self) -> bool:
        try:
            answer = urllib3.request("GET", f"{self.url}/readyz", timeout=2, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status == 200


class World:
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
        stack.plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *crds)
        stack.plane.kubectl("apply", "--server-side", f"--filename={ROOT / 'config/rbac.yaml'}")
        return stack

    @cached_property
    def database(self) -> str:
        """URL of a database with the run log's schema."""
        url = self.stack.postgres.create_database("bench")
        upgrade(url)
        return url

    @cached_property
    def api(self) -> Service:
        """`learnops api`, scraped by Prometheus."""
        api = self._service("api", "--port", "--ttl-seconds", "0").start()
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
    def operator(self, *, namespace: str, tick_seconds: float = 10.0) -> Iterator[Service]:
        """`learnops operator` of one namespace, under the operator's own rights."""
        operator = self.idle_operator(namespace=namespace, tick_seconds=tick_seconds).start()
        try:
            yield operator
        finally:
            operator.process.stop()

    def idle_operator(self, *, namespace: str, tick_seconds: float = 10.0) -> Service:
        """The same, not started."""
        rights = self.stack.plane.kubeconfig_for_service_account(
            _OPERATOR_NAMESPACE, "learnops-operator"
        )
        return self._service(
            "operator",
            "--probe-port",
            *("--namespace", namespace, "--kubeconfig", str(rights)),
            *("--tick-seconds", str(tick_seconds), "--log-format", "text"),
            *("--prometheus-url", self.stack.prometheus.url),
            *("--lease-namespace", _OPERATOR_NAMESPACE),
        )

    def objects(self, prefix: str) -> Objects:
        """A namespace of its own."""
        return Objects(kube=self.stack.plane.api, namespace=self.stack.namespace(prefix))

    def _service(self, command: str, port_flag: str, *arguments: str) -> Service:
        port = free_port()
        process = ManagedProcess(
            name=command,
            command=[
                *(sys.executable, "-m", "learnops.cli.main", command, port_flag, str(port)),
                *arguments,
            ],
            log=self.stack.work.logs / f"{command}-{port}.log",
            env={
                **os.environ,
                "KUBECONFIG": str(self.stack.plane.kubeconfig),
                "LEARNOPS_DATABASE_URL": self.database,
                "LEARNOPS_DEV_TOKEN": self.token,
            },
        )
        return Service(process=process, url=f"http://{LOOPBACK}:{port}")

    def __enter__(self) -> "World":
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


def total(text: str, metric: str, **labels: str) -> float:
    """The sum of a metric's samples in the text format that have these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )

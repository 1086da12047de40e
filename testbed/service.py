"""One long-running process of the product: how it is started, and what it tells of itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import urllib3

from testbed.exposition import total
from testbed.ports import LOOPBACK
from testbed.process import ManagedProcess
from testbed.template import LEARNOPS, ForkedProcess
from testbed.waiting import wait_until

_PORT_FLAGS = {"api": "--port", "operator": "--probe-port"}


class Service:
    """A process with `/readyz` and `/metrics` at ``url``."""

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

    def total(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; raises where nobody answers."""
        told: str = wait_until(
            lambda: self.get("/metrics"),
            what=f"the metrics of {self.process.name}",
            deadline_seconds=30,
            explain=self.process.log_tail,
        )
        return total(told, metric, **labels)


def service_process(
    command: Literal["api", "operator"],
    *flags: str,
    port: int,
    log: Path,
    environment: Mapping[str, str],
    name: str = "",
    root: Path | None = None,
    forked: bool = False,
) -> ManagedProcess:
    """`learnops COMMAND` on a port of loopback, not started yet; ``root`` is where it runs.

    ``forked``: of a process that has done the imports, which is quicker and else the same.
    """
    kind = ForkedProcess if forked else ManagedProcess
    return kind(
        name=name or command,
        command=[*LEARNOPS, command, _PORT_FLAGS[command], str(port), *flags],
        log=log,
        env=environment,
        cwd=root,
    )


def url_of(port: int) -> str:
    """Where a service on that port is."""
    return f"http://{LOOPBACK}:{port}"

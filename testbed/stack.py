"""Everything together: the control plane, Prometheus, PostgreSQL and the gateway controller."""

import contextlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType

from testbed.controlplane import ControlPlane
from testbed.gateway import ParentController, install_crds
from testbed.localnode import LocalNode
from testbed.postgres import Postgres
from testbed.prometheus import Prometheus
from testbed.workdir import WorkDir


class Stack:
    """A context manager: entered, everything is started and ready; left, nothing remains.

    If the owner is killed the processes die with it, and the next run removes the folder.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, tuple[str, ...]] | None = None,
        scrape_interval_seconds: float = 1.0,
        keep_files: bool = False,
    ) -> None:
        self.work = WorkDir(keep=keep_files)
        self.plane = ControlPlane(self.work, users=users)
        self.postgres = Postgres(self.work)
        self.prometheus = Prometheus(self.work, scrape_interval_seconds=scrape_interval_seconds)
        self.gateway = ParentController(self.plane.api)
        self._cleanup = contextlib.ExitStack()
        self._cleanup.callback(self.work.close)

    def start(self) -> "Stack":
        """Start all; what was started is stopped again if one part fails."""
        with contextlib.ExitStack() as starting:
            starting.callback(self.stop)
            self._cleanup.callback(self.prometheus.kill)
            self._cleanup.callback(self.postgres.stop)
            self._cleanup.callback(self.plane.stop)
            # Each is launched before any is waited for: they start side by side.
            self.plane.launch()
            self.postgres.launch()
            self.prometheus.launch()
            self.plane.wait_ready()
            install_crds(self.plane)
            self.gateway.start()
            self._cleanup.callback(self.gateway.stop)
            self.postgres.wait_ready()
            self.prometheus.wait_ready()
            starting.pop_all()
        return self

    def stop(self) -> None:
        """Stop all, in the reverse order; idempotent."""
        self._cleanup.close()

    def namespace(self, prefix: str = "test") -> str:
        """Make a namespace with a name nobody has; returns it."""
        return self.plane.create_namespace(f"{prefix}-{secrets.token_hex(4)}")

    def local_node(
        self, *, namespaces: Iterable[str], resources: Collection[str] = ()
    ) -> LocalNode:
        """A node, not started, that will run the pods of Jobs in ``namespaces``; a context manager.

        Each has a name of its own, so that several can serve different namespaces. ``resources``
        as for LocalNode.
        """
        name = f"local-node-{secrets.token_hex(4)}"
        return LocalNode(
            self.plane.api, self.work, namespaces=namespaces, name=name, resources=resources
        )

    def __enter__(self) -> "Stack":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

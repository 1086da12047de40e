"""The operator as a process, under its own rights, on the real servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testbed.ports import LOOPBACK, free_ports
from testbed.stack import Stack
from tests.databases import migrated_database
from tests.integration.objects import Objects
from tests.integration.operator.process import OperatorProcess

Start = Callable[..., OperatorProcess]


@pytest.fixture(scope="module")
def run_log(stack: Stack) -> str:
    """The database of the module's operator."""
    return migrated_database(stack.postgres)


@pytest.fixture(scope="module")
def operator(stack: Stack, operator_kubeconfig: Path, run_log: str) -> Iterator[OperatorProcess]:
    """One operator of all namespaces for a module whose tests need none of their own.

    No test that uses it may start another: they would share the Lease.
    """
    (port,) = free_ports(1)
    process = OperatorProcess(
        stack=stack,
        kubeconfig=operator_kubeconfig,
        namespace=None,
        database=run_log,
        url=f"http://{LOOPBACK}:{port}",
    )
    with ExitStack() as ended:  # also where it does not become ready: it may have the Lease
        ended.callback(process.stop)
        process.start()
        yield process


@pytest.fixture
def start_operator(
    stack: Stack, operator_kubeconfig: Path, objects: Objects, migrated: str
) -> Iterator[Start]:
    """Starts operators of the test's namespace; each is stopped at the end."""
    with ExitStack() as running:

        def start(**changes: str) -> OperatorProcess:
            (port,) = free_ports(1)
            process = OperatorProcess(
                stack=stack,
                kubeconfig=operator_kubeconfig,
                namespace=objects.namespace,
                database=migrated,
                url=f"http://{LOOPBACK}:{port}",
                changes=changes,
            )
            running.callback(process.stop)
            process.start()
            return process

        yield start

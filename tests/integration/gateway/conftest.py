"""A gateway that accepts, and a node for pods; the operator's fixtures for the stories."""

from collections.abc import Iterator

import pytest

from testbed.stack import Stack
from tests.integration.gateway.world import NODE
from tests.integration.operator.conftest import operator, run_log

__all__ = ["operator", "run_log"]


@pytest.fixture(autouse=True)
def ready_gateway(stack: Stack) -> Iterator[None]:
    """Each test leaves the shared controller accepting."""
    yield
    stack.gateway.accept()
    stack.gateway.resume()


@pytest.fixture(scope="module")
def node(stack: Stack) -> Iterator[str]:
    """The endpoint controller leaves out pods of a node that does not exist."""
    path = "/api/v1/nodes"
    stack.plane.api.create(path, {"metadata": {"name": NODE}})
    yield NODE
    stack.plane.api.delete(f"{path}/{NODE}")

"""Fixtures of the local node's tests."""

from collections.abc import Iterator

import pytest

from testbed.localnode import LocalNode
from testbed.stack import Stack
from tests.integration.testbed.jobs import Jobs


@pytest.fixture
def node(stack: Stack, namespace: str) -> Iterator[LocalNode]:
    """A local node that serves the test's namespace alone."""
    with stack.local_node(namespaces=[namespace]) as running:
        yield running


@pytest.fixture
def jobs(stack: Stack, namespace: str, node: LocalNode) -> Jobs:
    """Jobs in a namespace that a local node serves."""
    return Jobs(stack.plane.api, namespace)

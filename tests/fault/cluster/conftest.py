"""A control plane of their own: what these tests take away from it, all others would miss."""

from collections.abc import Iterator

import pytest

from testbed.stack import Stack
from tests.conftest import USERS, server_of
from tests.integration.conftest import kube, objects, operator_kubeconfig, rest
from tests.integration.operator.conftest import start_operator

# Made anew here: those of the folders above hold on to the stack that all share.
__all__ = ["kube", "objects", "operator_kubeconfig", "rest", "server_of", "start_operator"]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """CRDs go and rights are missing in this one alone."""
    with Stack(users=USERS, scrape_interval_seconds=0.5) as running:
        yield running

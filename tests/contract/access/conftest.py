"""The api's own service account, with the rights of config/rbac.yaml."""

from pathlib import Path

import pytest

from testbed.stack import Stack
from tests.integration.conftest import operator_kubeconfig

__all__ = ["operator_kubeconfig"]


@pytest.fixture(scope="session")
def api_kubeconfig(stack: Stack, operator_kubeconfig: Path) -> Path:
    """A kubeconfig of learnops-api."""
    return stack.plane.kubeconfig_for_service_account("learnops-system", "learnops-api")

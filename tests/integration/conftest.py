"""The operator's adapters on the real API server, under the operator's own rights."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from learnops.adapters.clock import SystemClock
from learnops.adapters.kube.connection import connect
from learnops.adapters.kube.events import EventRecorder
from learnops.adapters.kube.rest import RestClient
from learnops.adapters.kube.writer import KubeWriter
from testbed.stack import Stack
from tests.accounts import wait_granted_by
from tests.integration.objects import Objects

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def operator_kubeconfig(stack: Stack) -> Path:
    """A kubeconfig of the operator's service account; all have the rights of config/rbac.yaml."""
    crds = [f"--filename={path}" for path in sorted((ROOT / "crds").glob("*.yaml"))]
    stack.plane.kubectl("apply", "--server-side", "--force-conflicts", *crds)
    stack.plane.wait_established()
    rbac = ROOT / "config" / "rbac.yaml"
    stack.plane.kubectl("apply", "--server-side", f"--filename={rbac}")
    wait_granted_by(stack.plane.api, rbac)
    return stack.plane.kubeconfig_for_service_account("learnops-system", "learnops-operator")


@pytest_asyncio.fixture
async def rest(operator_kubeconfig: Path) -> AsyncIterator[RestClient]:
    """Requests as the operator."""
    async with await connect(kubeconfig=operator_kubeconfig) as api:
        yield RestClient(api=api)


@pytest.fixture
def kube(rest: RestClient, namespace: str) -> KubeWriter:
    """The Kube port on the test's namespace."""
    events = EventRecorder(rest=rest, clock=SystemClock(), instance="test")
    return KubeWriter(rest=rest, events=events, namespaces=(namespace,))


@pytest.fixture
def objects(stack: Stack, operator_kubeconfig: Path, namespace: str) -> Objects:
    """What a user does with kubectl."""
    return Objects(api=stack.plane.api, namespace=namespace)

"""The whole product, and an agent of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from learnops.client import Learner, Options
from testbed.stack import Stack
from tests.integration.objects import Objects
from tests.product import Installation, running


@pytest.fixture
def installed(
    stack: Stack, operator_kubeconfig: Path, objects: Objects, tmp_path: Path
) -> Iterator[Installation]:
    """Operator and api on the real servers, in the test's namespace."""
    with ExitStack() as ended:
        yield ended.enter_context(
            running(
                stack, operator_kubeconfig=operator_kubeconfig, objects=objects, folder=tmp_path
            )
        )


@pytest.fixture
def agent(installed: Installation) -> Iterator[Learner]:
    """A learner of `planner`, patient: the machine may be busy."""
    learner = Learner(
        "planner",
        api=installed.product.api.url,
        token=installed.product.token,
        namespace=installed.objects.namespace,
        options=Options(registration_seconds=10.0),
    )
    with learner:
        yield learner

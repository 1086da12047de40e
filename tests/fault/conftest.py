"""The fixtures of the operator's stories, and the whole product."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from testbed.stack import Stack
from tests.databases import database
from tests.integration.conftest import kube, objects, operator_kubeconfig, rest
from tests.integration.objects import Objects
from tests.integration.operator.conftest import start_operator
from tests.product import Installation, running

__all__ = ["database", "kube", "objects", "operator_kubeconfig", "rest", "start_operator"]
StartProduct = Callable[..., Installation]


@pytest.fixture
def start_product(
    stack: Stack, operator_kubeconfig: Path, objects: Objects, tmp_path: Path
) -> Iterator[StartProduct]:
    """Starts api, operator and whatever the test asks for next, with what `running` takes."""
    with ExitStack() as cleanup:

        def start(**given: Any) -> Installation:
            installed = running(
                stack,
                operator_kubeconfig=operator_kubeconfig,
                objects=objects,
                folder=tmp_path,
                **given,
            )
            return cleanup.enter_context(installed)

        yield start


@pytest.fixture
def installed(start_product: StartProduct) -> Installation:
    """The product with its usual flags."""
    return start_product()

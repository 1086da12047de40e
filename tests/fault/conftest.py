"""The fixtures of the operator's stories, and the whole product."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from learnops.adapters.postgres.migrate import upgrade
from testbed.postgres import Postgres
from testbed.stack import Stack
from tests.databases import database, own_server
from tests.integration.conftest import kube, objects, operator_kubeconfig, rest
from tests.integration.objects import Objects
from tests.integration.operator.conftest import start_operator
from tests.integration.server.conftest import Api, launch
from tests.live_doer import LiveDoer
from tests.product import Installation, running

__all__ = ["database", "kube", "objects", "operator_kubeconfig", "rest", "start_operator"]
StartProduct = Callable[..., Installation]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server that the test may stop."""
    with own_server() as server:
        yield server


@pytest.fixture
def live_api(
    crds: Stack, postgres: Postgres, namespace: str, tmp_path: Path
) -> Iterator[tuple[Api, LiveDoer]]:
    """An api on that server, with a live canary."""
    url = postgres.create_database()
    upgrade(url)
    api = launch(
        url=url, kubeconfig=crds.plane.kubeconfig, namespace=namespace, log=tmp_path / "api.log"
    )
    world = LiveDoer(kube=crds.plane.api, namespace=namespace, database=url)
    try:
        world.setup()
        api.start()
        yield api, world
    finally:
        api.process.stop()


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

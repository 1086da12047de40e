"""Fixtures of every test that needs something real: one stack per session, a namespace per test."""

import contextlib
import functools
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from testbed.binaries import ensure
from testbed.binaries.postgres import MAJORS, WANTED, wanted_major
from testbed.postgres import Postgres
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.databases import migrated_database, own_server

# A busy machine is no finding: a thread that lost its core for a second has broken no property.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

# May log in, may do nothing until a test's RBAC lets them.
USERS: dict[str, tuple[str, ...]] = {"alice": (), "bob": (), "approver": ("approvers",)}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are rewritten by this flag and looked at before they are committed."""
    parser.addoption("--update-golden", action="store_true", help="rewrite golden logs")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the binaries before the first test, whose time limit a cold build would exceed.

    And look for no garbage among modules and collected tests again and again: they all stay.
    """
    gc.collect()
    gc.freeze()
    collect_only = session.config.option.collectonly
    if not collect_only and any(_needs_stack(item) for item in session.items):
        ensure()


def _needs_stack(item: pytest.Item) -> bool:
    return "stack" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def no_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    """No learner of a test finds what another left; tests of the spool name a folder."""
    monkeypatch.setenv("LEARNOPS_SPOOL", "off")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The real API server, Prometheus and PostgreSQL, started when the first test asks."""
    with Stack(users=USERS, scrape_interval_seconds=0.5) as running:
        yield running


@pytest.fixture
def namespace(stack: Stack) -> Iterator[str]:
    """A namespace of this test alone; its deletion is not waited for."""
    name = stack.namespace()
    yield name
    stack.plane.delete_namespace(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked `every_postgres` run on each major version, or on the one that is asked for."""
    if metafunc.definition.get_closest_marker("every_postgres") is None:
        return
    majors = (wanted_major(),) if os.environ.get(WANTED) else MAJORS
    ids = [f"postgres{major}" for major in majors]
    metafunc.parametrize("database_server", majors, ids=ids, indirect=True)


@pytest.fixture(scope="session")
def server_of(stack: Stack) -> Iterator[Callable[[int], Postgres]]:
    """PostgreSQL of a major version: the stack's own, others from when a test first asks."""
    with contextlib.ExitStack() as cleanup:

        @functools.cache
        def server(major: int) -> Postgres:
            if major == stack.postgres.major:
                return stack.postgres
            return cleanup.enter_context(own_server(major=major))

        yield server


@pytest.fixture
def database_server(
    stack: Stack, server_of: Callable[[int], Postgres], request: pytest.FixtureRequest
) -> Postgres:
    """The server of the test's database."""
    return server_of(getattr(request, "param", stack.postgres.major))


@pytest.fixture
def database(database_server: Postgres) -> str:
    """URL of an empty PostgreSQL database of this test alone."""
    return database_server.create_database()


@pytest.fixture
def migrated(database_server: Postgres) -> str:
    """URL of a PostgreSQL database of this test alone, with this version's schema."""
    return migrated_database(database_server)


@pytest.fixture(scope="session")
def crds(stack: Stack) -> Stack:
    """The stack with our CRDs served."""
    folder = Path(__file__).parent.parent / "crds"
    listing = ("api-resources", "--categories=learnops", "--output=name")
    stack.plane.kubectl("apply", "--server-side", f"--filename={folder}")
    names = {f"{kind}.learnops.dev" for kind in ("doers", "policies", "canarydeployments")}
    stack.plane.wait_established()
    wait_until(
        # Also renews kubectl's cache, which knows no category that came after it was filled.
        lambda: names <= set(stack.plane.kubectl(*listing).stdout.split()),
        what="our kinds in the API server's discovery",
        deadline_seconds=30,
    )
    return stack

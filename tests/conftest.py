"""Fixtures of every test that needs something real: one stack per session, a namespace per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.binaries import ensure
from testbed.stack import Stack
from testbed.waiting import wait_until

# May log in, may do nothing until a test's RBAC lets them.
USERS: dict[str, tuple[str, ...]] = {"alice": (), "bob": (), "approver": ("approvers",)}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are rewritten by this flag and looked at before they are committed."""
    parser.addoption("--update-golden", action="store_true", help="rewrite golden logs")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the binaries before the first test, whose time limit a cold build would exceed."""
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


@pytest.fixture
def database(stack: Stack) -> str:
    """URL of an empty PostgreSQL database of this test alone."""
    return stack.postgres.create_database()


@pytest.fixture(scope="session")
def crds(stack: Stack) -> Stack:
    """The stack with our CRDs served."""
    folder = Path(__file__).parent.parent / "crds"
    listing = ("api-resources", "--categories=learnops", "--output=name")
    stack.plane.kubectl("apply", "--server-side", f"--filename={folder}")
    names = {f"{kind}.learnops.dev" for kind in ("doers", "policies", "canarydeployments")}
    crds = [f"crd/{name}" for name in names]
    stack.plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *crds)
    wait_until(
        # Also renews kubectl's cache, which knows no category that came after it was filled.
        lambda: names <= set(stack.plane.kubectl(*listing).stdout.split()),
        what="our kinds in the API server's discovery",
        deadline_seconds=30,
    )
    return stack

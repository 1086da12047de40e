"""A Prometheus of each test, and what it scrapes."""

from collections.abc import Iterator

import pytest

from testbed.binaries import ensure
from testbed.prometheus import Prometheus
from tests.contract.metrics.exporter import Exporter
from tests.prometheus import own_prometheus


@pytest.fixture(scope="module")
def binaries() -> None:
    """Built before the first test's time limit runs."""
    ensure()


@pytest.fixture
def prometheus(binaries: None) -> Iterator[Prometheus]:
    """A server of each test: samples with a timestamp of their own outlive their job."""
    # Also how long a scrape may take: one that fails ends the series that a test asks for.
    with own_prometheus(scrape_interval_seconds=2.0) as server:
        yield server


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    serving = Exporter()
    yield serving
    serving.close()

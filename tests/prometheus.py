"""A Prometheus of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager

from testbed.prometheus import Prometheus
from testbed.workdir import WorkDir


@contextmanager
def own_prometheus(*, scrape_interval_seconds: float = 0.2) -> Iterator[Prometheus]:
    """A server of the caller's alone: it knows nothing of other tests, and may be stopped."""
    with WorkDir() as work:
        server = Prometheus(work, scrape_interval_seconds=scrape_interval_seconds).start()
        try:
            yield server
        finally:
            server.kill()

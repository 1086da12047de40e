"""Events without a database: dropped, told once, and nobody waits."""

import logging

import pytest

from learnops.adapters.postgres.announcements import Computed
from learnops.adapters.postgres.connection import make_pool
from learnops.server.announcing import Announcer
from learnops.server.metrics import Metrics


async def test_events_are_dropped_while_the_database_is_away_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A pool that was never opened refuses at once, as one whose database is gone does in time.
    metrics = Metrics(process="p")
    announcer = Announcer(
        pool=make_pool("postgresql://127.0.0.1:1", application="test"), metrics=metrics
    )
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            announcer.add(Computed(namespace="n", doer="d", run_id=f"r{number}", crl=1.0, loss=0.5))
            await announcer.step()
    (record,) = caplog.records
    assert record.getMessage().startswith("crl_computed events are dropped until they work again")
    dropped = b'learnops_notifications_dropped_total{channel="crl_computed"} 3.0'
    assert dropped in metrics.exposition()

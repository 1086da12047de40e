"""An outage of the database is told once, and its end once."""

import logging

import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.server.outage import Outage
from learnops.server.tracker import DatabaseGate
from testbed.ports import LOOPBACK, free_port


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "learnops" in record.name]


def test_one_warning_at_its_begin_and_one_when_all_parts_are_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = Outage()
    outage.back("probe")
    for _ in range(3):
        outage.away("probe", "connection refused")
        outage.away("mirror", "connection refused")
    assert len(told(caplog)) == 1
    assert "connection refused" in told(caplog)[0]
    outage.back("probe")
    assert len(told(caplog)) == 1
    outage.back("mirror")
    outage.back("probe")
    assert told(caplog)[1:] == ["Postgres is back"]
    outage.away("probe", "again")
    assert len(told(caplog)) == 3


async def test_the_probe_of_a_database_that_is_not_there_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "learnops")
    pool = make_pool(f"postgresql://nobody@{LOOPBACK}:{free_port()}/none", application="test")
    gate = DatabaseGate(pool=pool, outage=Outage(), clock=SystemClock())
    for _ in range(3):  # the pool is not open: each fails at once
        await gate.check()
    assert gate.reason == "the database does not answer"
    assert len(told(caplog)) == 1

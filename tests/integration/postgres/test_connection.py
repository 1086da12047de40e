"""The pool gives no dead connection, and what travels together is stored together."""

import asyncio

import psycopg
import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import (
    DatabaseUnavailableError,
    Pool,
    make_pool,
    read,
)
from learnops.adapters.postgres.runs import store
from learnops.server.outage import Outage
from learnops.server.tracker import DatabaseGate
from testbed.waiting import wait_until
from tests.integration.postgres.helpers import row

_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'one at a time'
"""
_LEFT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'one at a time'"
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
_WATCH = """
INSERT INTO drift_watches (namespace, doer, watch, policy, since_revision)
VALUES ('agents', 'planner', 'w', 'planner-v1', 0)
"""
_ALTER = """
DO $$BEGIN EXECUTE format('ALTER DATABASE %I {}', current_database()); END$$
"""


async def _until(url: str, query: str, count: int) -> None:
    """Wait until the query counts so many; on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as asking:
        await asyncio.to_thread(
            wait_until,
            lambda: asking.execute(query).fetchone() == (count,),
            what=f"{query} to be {count}",
            deadline_seconds=30,
        )


async def test_a_connection_that_ended_while_idle_is_given_to_nobody(migrated: str) -> None:
    pool = make_pool(migrated, application="one at a time", max_size=1)
    await pool.open()
    try:
        (first,) = await read(pool, "SELECT pg_backend_pid()", ())
        with psycopg.connect(migrated, autocommit=True) as other:
            other.execute(_END)
        await _until(migrated, _LEFT, 0)
        (second,) = await read(pool, "SELECT pg_backend_pid()", ())
        assert second != first
    finally:
        await pool.close()


@pytest.mark.usefixtures("runlog")
async def test_a_store_that_is_given_up_halfway_leaves_nothing(pool: Pool, migrated: str) -> None:
    """It waits for a lock after its runs were sent; the end of its pipeline must not commit."""
    with psycopg.connect(migrated) as other:
        other.execute(_WATCH)
        other.commit()
        other.execute("SELECT * FROM drift_watches FOR UPDATE")
        storing = asyncio.create_task(store(pool, rows=[row("r", rollout=None)]))
        await _until(migrated, _BLOCKED, 1)
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
    assert await read(pool, "SELECT count(*) FROM runs", ()) == [(0,)]
    assert await store(pool, rows=[row("r", rollout=None)]) == {("agents", "r")}
    assert await read(pool, "SELECT run_id FROM drift_runs", ()) == [("r",)]


async def test_a_database_that_takes_no_writes_is_away_until_the_pool_reaches_one_that_does(
    migrated: str,
) -> None:
    """As after a failover: sessions on the standby stay read-only, those made later do not."""
    with psycopg.connect(migrated, autocommit=True) as other:
        other.execute(_ALTER.format("SET default_transaction_read_only = on"))
        pool = make_pool(migrated, application="one at a time", max_size=1)
        await pool.open()
        try:
            gate = DatabaseGate(pool=pool, outage=Outage(), clock=SystemClock())
            with pytest.raises(DatabaseUnavailableError, match="read-only transaction"):
                await store(pool, rows=[row("r", rollout=None)])
            await gate.check()
            assert gate.reason is not None
            assert gate.reason.startswith("the database takes no writes, as a standby does: point")
            # Read-only for its life, unless nobody is given it again.
            (stale,) = await read(pool, "SELECT pg_backend_pid()", ())
            other.execute(_ALTER.format("RESET default_transaction_read_only"))
            await gate.check()
            await gate.check()
            assert gate.reason is None
            assert await read(pool, "SELECT pg_backend_pid()", ()) != [stale]
            assert await store(pool, rows=[row("r", rollout=None)]) == {("agents", "r")}
        finally:
            await pool.close()

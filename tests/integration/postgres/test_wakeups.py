"""The operator's wake-up, from the report that moved a prefix to the doer that is told."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.prefix import extend, open_prefixes
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.wakeups import listen, wake
from learnops.domain.observed import Key
from testbed.waiting import wait_until
from tests.integration.postgres.conftest import KEY, ROLLOUT
from tests.integration.postgres.helpers import draw, registered, reported

_LISTENING = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'learnops-wakeups'
    AND query LIKE 'LISTEN%' AND state = 'idle'
"""
_DEADLINE_SECONDS = 60


@pytest_asyncio.fixture
async def woken(migrated: str) -> AsyncIterator["asyncio.Queue[Key]"]:
    """The doers that a listener was told of."""
    told: asyncio.Queue[Key] = asyncio.Queue()
    listening = asyncio.create_task(listen(migrated, wake=told.put_nowait))
    await asyncio.to_thread(
        wait_until,
        lambda: _listens(migrated),
        what="the listener to listen",
        deadline_seconds=_DEADLINE_SECONDS,
    )
    yield told
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


@pytest.mark.every_postgres
async def test_a_prefix_that_moved_wakes_its_doer_and_no_other_look_does(
    pool: Pool, runlog: PostgresRunLog, woken: "asyncio.Queue[Key]"
) -> None:
    await registered(pool, ROLLOUT, draw("a"), draw("b"))
    await reported(pool, "a")
    for _ in range(2):  # the second time it has nothing to move
        for prefix in await open_prefixes(pool, recent_seconds=600):
            if await extend(pool, rollout=prefix):
                await wake(pool, keys=[Key(namespace=prefix.namespace, doer=prefix.doer)])
    async with asyncio.timeout(_DEADLINE_SECONDS):
        assert await woken.get() == KEY
    async with pool.connection() as connection:
        await connection.execute("NOTIFY learnops_evidence, 'agents/last'")
    async with asyncio.timeout(_DEADLINE_SECONDS):
        assert await woken.get() == Key(namespace="agents", doer="last")


def _listens(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute(_LISTENING).fetchone() is not None

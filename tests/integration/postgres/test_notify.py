"""`crl_computed`: who listens on the database is told of each run that was scored."""

import json

import psycopg

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.runs import COMPUTED, store
from tests.integration.postgres.helpers import row


async def test_each_run_is_told_once_it_is_stored(pool: Pool, migrated: str) -> None:
    async with await psycopg.AsyncConnection.connect(migrated, autocommit=True) as listening:
        await listening.execute(f"LISTEN {COMPUTED}")
        await store(pool, rows=[row("r1", loss=0.25), row("r2", loss=0.5)])
        await store(pool, rows=[row("r1", loss=0.25), row("r3", loss=0.75)])
        heard = [
            json.loads(it.payload) async for it in listening.notifies(timeout=20, stop_after=3)
        ]
    told = {it["runId"]: it for it in heard}
    assert sorted(told) == ["r1", "r2", "r3"]  # a repetition is no news
    assert told["r2"] == {
        "namespace": "agents",
        "doer": "planner",
        "runId": "r2",
        "crl": 1.0,
        "loss": 0.5,
    }

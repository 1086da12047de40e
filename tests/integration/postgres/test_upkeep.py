"""What an api process does every hour beside serving."""

import logging
from dataclasses import replace

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.erasure import erase_tenant
from learnops.adapters.postgres.runs import store
from learnops.server.outage import Outage
from learnops.server.upkeep import Upkeep
from tests.integration.postgres.helpers import row, rows_of


async def test_expires_and_follows_erasures(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    upkeep = Upkeep(pool=pool, keep_days={"runs": 10}, outage=Outage())
    await store(pool, rows=[row("old", rollout=None), row("young", rollout=None)])
    await rows_of(
        pool,
        "UPDATE runs SET received_at = now() - interval '20 days' WHERE run_id = 'old' RETURNING 1",
    )
    await erase_tenant(pool, namespace="agents", tenant="acme", by="alice")
    await store(pool, rows=[replace(row("late", rollout=None), tenant="acme")])
    await upkeep.step()
    found = "SELECT run_id, tenant FROM runs ORDER BY 1"
    assert await rows_of(pool, found) == [("late", "(erased)"), ("young", None)]
    assert "1 rows of runs" in caplog.text
    assert "acme" not in caplog.text
    caplog.clear()
    await upkeep.step()
    assert caplog.text == ""


async def test_without_settings_everything_is_kept(pool: Pool) -> None:
    await store(pool, rows=[row("old", rollout=None)])
    await rows_of(pool, "UPDATE runs SET received_at = now() - interval '10 years' RETURNING 1")
    await Upkeep(pool=pool, keep_days={}, outage=Outage()).step()
    assert await rows_of(pool, "SELECT count(bundle) FROM runs") == [(1,)]

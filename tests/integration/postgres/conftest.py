"""A migrated database of the test's own, and a rollout to register runs for."""

from collections.abc import AsyncIterator

import pytest

from learnops.adapters.postgres.connection import Pool, make_pool
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.api.assignment import Unit
from learnops.domain.observed import Key
from learnops.domain.plan import OpenRollout, Tried

KEY = Key(namespace="agents", doer="planner")
ROLLOUT = RolloutRef(rollout="uid.0", namespace="agents", doer="planner")


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator[Pool]:
    """A pool on it, large enough for sixteen writers at once."""
    pool = make_pool(migrated, application="test", max_size=20)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def runlog(pool: Pool) -> PostgresRunLog:
    """The operator's port on the same database, with one open rollout."""
    log = PostgresRunLog(pool)
    await log.open_rollout(key=KEY, rollout=rollout())
    return log


def rollout(
    name: str = "uid.0",
    *,
    maturation_seconds: int = 600,
    identity: str = "v1:abc",
    unit: Unit = Unit.RUN,
    epoch_seconds: int | None = None,
) -> OpenRollout:
    """An attempt of planner-v2 against planner-v1."""
    return OpenRollout(
        rollout=name,
        canary="planner-v2-1f3a",
        canary_uid=name.split(".")[0],
        control="planner-v1",
        candidates=(Tried(name="planner-v2", identity=identity, attempt=1),),
        percent=10,
        maturation_seconds=maturation_seconds,
        crl={"weights": {"grounding": "1"}},
        unit=unit,
        epoch_seconds=epoch_seconds,
    )

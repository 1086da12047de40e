"""What one run or one rollout has in it does no harm to the counters of the others."""

import logging

import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.prefix import extend, open_prefixes
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.server.metrics import Metrics
from learnops.server.outage import Outage
from learnops.server.tracker import PrefixTracker
from learnops.server.wake import Wake
from learnops.server.wakeups import Wakeups
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, reported

SECOND = RolloutRef(rollout="uid.1", namespace="agents", doer="planner")
# As a bug in the rows of one rollout would.
FAILING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON rollout_prefixes
    FOR EACH ROW WHEN (NEW.rollout = 'uid.0') EXECUTE FUNCTION refuse();
"""


async def test_a_loss_whose_square_is_no_double_enters_the_prefix(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a"), draw("b"), draw("c"))
    await reported(pool, "a", loss=1e-200)
    await reported(pool, "b", loss=5e-324)
    await reported(pool, "c", loss=0.5)
    (found,) = await open_prefixes(pool, recent_seconds=600)
    (counted,) = await extend(pool, rollout=found)
    assert (counted.runs, counted.loss_sum, counted.loss_sumsq) == (3, 0.5, 0.25)


async def test_a_prefix_that_cannot_be_extended_holds_up_no_other(
    pool: Pool, runlog: PostgresRunLog, caplog: pytest.LogCaptureFixture
) -> None:
    await runlog.open_rollout(key=KEY, rollout=rollout("uid.1"))
    await registered(pool, ROLLOUT, draw("a"))
    await registered(pool, SECOND, draw("b"))
    await reported(pool, "a", "b")
    async with pool.connection() as connection:
        await connection.execute(FAILING)
    metrics = Metrics(process="test")
    tracker = PrefixTracker(
        pool=pool,
        metrics=metrics,
        wake=Wake(),
        wakeups=Wakeups(pool=pool, metrics=metrics),
        clock=SystemClock(),
        outage=Outage(),
    )
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await tracker.step()
    assert metrics.evidence_rollouts() == {"uid.1"}
    assert b"learnops_evidence_prefix_lag_seconds{" in metrics.exposition()
    assert [it.getMessage() for it in caplog.records] == [
        "the prefix of rollout uid.0 cannot be extended"
    ]
    async with pool.connection() as connection:
        await connection.execute("DROP TRIGGER refuse ON rollout_prefixes")
    await tracker.step()
    assert metrics.evidence_rollouts() == {"uid.0", "uid.1"}

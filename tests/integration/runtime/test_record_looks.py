"""When the record of a doer at rest is read."""

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.app.record import RecordLooks
from learnops.domain.observed import History, Key
from testbed.stack import Stack
from tests.unit.app.fakes import FakeClock

KEY = Key(namespace="agents", doer="planner")


async def test_it_is_read_at_first_and_then_now_and_then_and_after_a_rollout(database: str) -> None:
    pool = make_pool(database, application="test", max_size=1)
    async with pool:
        clock = FakeClock()
        looks = RecordLooks(runlog=PostgresRunLog(pool), clock=clock, every_seconds=240)
        assert await looks.history(key=KEY, at_rest=True) == History()
        clock.advance(239)
        assert await looks.history(key=KEY, at_rest=True) is None
        clock.advance(1)
        assert await looks.history(key=KEY, at_rest=True) == History()
        assert await looks.history(key=KEY, at_rest=False) is None
        assert await looks.history(key=KEY, at_rest=True) == History()


async def test_a_database_without_a_schema_is_asked_again_at_the_next_pass(stack: Stack) -> None:
    database = stack.postgres.create_database()
    pool = make_pool(database, application="test", max_size=1)
    async with pool:
        looks = RecordLooks(runlog=PostgresRunLog(pool), clock=FakeClock(), every_seconds=240)
        assert await looks.history(key=KEY, at_rest=True) is None
        upgrade(database)
        assert await looks.history(key=KEY, at_rest=True) == History()

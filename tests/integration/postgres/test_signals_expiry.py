"""Signals of runs that never reported go by themselves, and not while the run may report."""

import pytest

from learnops.adapters.postgres.connection import Pool, make_pool
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.retention import Expired, expire
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.adapters.postgres.signals import RunSignals, Signal, append, of_run
from learnops.api.assignment import Unit
from learnops.domain.plan import CloseRollout
from learnops.domain.reward import DEFAULT_WEIGHTS
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, row, rows_of

_WEEK = 604_800


async def test_all_of_a_run_that_never_reported_goes_and_nothing_else(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, *(draw(run) for run in ("a", "b", "c", "told", "still told")))
    await store(pool, rows=[row("told")])
    for run in ("a", "b", "c", "told", "still told"):
        await _tell(pool, run, "ci", "thumb")
    await _end(pool, runlog, days=40)
    await _age(pool, days=40)
    await _tell(pool, "still told", "merged")  # the newest counts
    seen: list[int] = []
    done = await expire(
        pool, keep_days={"signals": 30}, page=2, told=lambda _table, rows: seen.append(rows)
    )
    assert _of(done) == ("signals", 6, 0)
    assert seen == [4, 2, 0]  # two runs a page, of which "told" is left
    assert await _told(pool) == [("still told", 3), ("told", 2)]
    assert await rows_of(pool, "SELECT run_id FROM run_rewards ORDER BY 1") == [
        ("still told",),
        ("told",),
    ]
    # The evidence has them as before.
    assert await rows_of(pool, "SELECT count(*) FROM deployment_routings") == [(5,)]


async def test_a_live_rollout_holds_the_signals_of_its_assignments(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a"))
    await _tell(pool, "a", "ci", "thumb")
    await _age(pool, days=40)
    await rows_of(
        pool,
        "UPDATE deployment_routings SET registered_at = now() - interval '40 days',"
        " resolved_at = now(), resolution = 'Timeout', loss = 1 RETURNING 1",
    )
    assert _of(await expire(pool, keep_days={"signals": 1})) == ("signals", 0, 2)
    await _end(pool, runlog, days=0)
    assert _of(await expire(pool, keep_days={"signals": 1})) == ("signals", 0, 2)
    await _end(pool, runlog, days=2)
    assert _of(await expire(pool, keep_days={"signals": 1})) == ("signals", 2, 0)


@pytest.mark.parametrize("run", ["first", "second"])
@pytest.mark.parametrize("unit", [Unit.RUN, Unit.SESSION])
async def test_a_run_that_may_still_report_in_time_holds_its_signals(
    pool: Pool, runlog: PostgresRunLog, unit: Unit, run: str
) -> None:
    slow = rollout("slow.0", maturation_seconds=_WEEK, unit=unit)
    await runlog.open_rollout(key=KEY, rollout=slow)
    draws = [draw(it, unit_id="s" if unit is Unit.SESSION else it) for it in ("first", "second")]
    await registered(pool, _ref("slow.0"), *draws)
    await _tell(pool, run, "ci")
    await _end(pool, runlog, days=3, of="slow.0")
    await _age(pool, days=3)
    assert _of(await expire(pool, keep_days={"signals": 1})) == ("signals", 0, 1)
    for table in ("deployment_routings", "unit_runs"):
        await rows_of(
            pool, f"UPDATE {table} SET registered_at = now() - interval '8 days' RETURNING 1"
        )
    assert _of(await expire(pool, keep_days={"signals": 1})) == ("signals", 1, 0)


async def test_signals_of_a_run_that_expired_itself_go_too(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a"))
    await store(pool, rows=[row("a")])
    await _end(pool, runlog, days=40)
    await rows_of(pool, "UPDATE runs SET received_at = now() - interval '40 days' RETURNING 1")
    await expire(pool, keep_days={"runs": 30})
    await _tell(pool, "a", "late")  # its assignment is still known
    await _age(pool, days=31)
    assert _of(await expire(pool, keep_days={"signals": 30})) == ("signals", 1, 0)


async def test_a_report_that_came_after_all_takes_the_signals_with_it(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a"))
    await _tell(pool, "a", "ci")
    await store(pool, rows=[row("a")])
    await _end(pool, runlog, days=40)
    await _age(pool, days=40)
    assert _of(await expire(pool, keep_days={"signals": 30})) == ("signals", 0, 0)
    assert await _told(pool) == [("a", 1)]
    await rows_of(pool, "UPDATE runs SET received_at = now() - interval '40 days' RETURNING 1")
    await expire(pool, keep_days={"runs": 30})
    assert await _told(pool) == []
    assert await rows_of(pool, "SELECT count(*) FROM run_rewards") == [(0,)]


async def test_a_run_that_is_told_of_right_now_loses_nothing(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a"), draw("b"))
    for run in ("a", "b"):
        await _tell(pool, run, "ci")
    await _end(pool, runlog, days=40)
    await _age(pool, days=40)
    async with pool.connection() as writer, writer.transaction():
        await writer.execute("SELECT FROM run_rewards WHERE run_id = 'a' FOR UPDATE")
        assert _of(await expire(pool, keep_days={"signals": 30})) == ("signals", 1, 0)
    assert await _told(pool) == [("a", 1)]
    assert _of(await expire(pool, keep_days={"signals": 30})) == ("signals", 1, 0)


async def test_runs_that_are_known_to_have_reported_are_not_looked_at_again(
    pool: Pool, migrated: str
) -> None:
    await store(pool, rows=[row("a", rollout=None)])
    await rows_of(
        pool,
        "INSERT INTO run_rewards (namespace, run_id, doer, rewarded_at, sent_apart)"
        " SELECT 'agents', CASE g WHEN 1 THEN 'a' ELSE 'r' || g END, 'planner',"
        " now() - interval '40 days', g = 1 FROM generate_series(1, 30000) g RETURNING 1",
    )
    await rows_of(
        pool,
        "INSERT INTO signals (namespace, run_id, doer, origin, name, value, key)"
        " SELECT namespace, run_id, doer, 'Later', 'tests', 1, 'ci' FROM run_rewards RETURNING 1",
    )
    async with pool.connection() as connection:
        await connection.execute("ANALYZE run_rewards, signals, runs")
    assert 1 <= await _read_by_a_pass(migrated) < 100
    assert await _read_by_a_pass(migrated) == 0


async def _read_by_a_pass(database: str) -> int:
    """How many rows of both tables a pass reads; none may go."""
    pool = make_pool(database, application="test", max_size=1)  # whose figures are told at once
    await pool.open()
    try:
        before = await _read_rows(pool)
        assert _of(await expire(pool, keep_days={"signals": 30})) == ("signals", 0, 0)
        return await _read_rows(pool) - before
    finally:
        await pool.close()


async def _read_rows(pool: Pool) -> int:
    await rows_of(pool, "SELECT pg_stat_force_next_flush()")
    ((found,),) = await rows_of(
        pool,
        "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables"
        " WHERE relname IN ('run_rewards', 'signals')",
    )
    assert isinstance(found, int)
    return found


async def _tell(pool: Pool, run: str, *keys: str) -> None:
    signals = [Signal(name="tests", value=1, key=key) for key in keys]
    told = RunSignals(
        namespace="agents", run_id=run, doer="planner", signals=signals, weights=DEFAULT_WEIGHTS
    )
    assert all((await append(pool, run=told)).new)
    _, reward = await of_run(pool, key=("agents", run))
    assert reward is not None


async def _told(pool: Pool) -> list[tuple[object, ...]]:
    """The runs that have signals, and how many."""
    return await rows_of(pool, "SELECT run_id, count(*) FROM signals GROUP BY 1 ORDER BY 1")


async def _age(pool: Pool, *, days: int) -> None:
    """As if all signals so far had been told that long ago."""
    for statement in (
        "UPDATE signals SET received_at = received_at - make_interval(days => %s) RETURNING 1",
        "UPDATE run_rewards SET rewarded_at = rewarded_at - make_interval(days => %s) RETURNING 1",
    ):
        await rows_of(pool, statement, (days,))


async def _end(pool: Pool, runlog: PostgresRunLog, *, days: int, of: str = "uid.0") -> None:
    """The rollout ended that long ago, and its runs were drawn before."""
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout=of, outcome="RolledBack"))
    await rows_of(
        pool,
        "UPDATE shadow_deployments SET ended_at = now() - make_interval(days => %s)"
        " WHERE id = %s RETURNING 1",
        (days, of),
    )
    await rows_of(
        pool,
        "UPDATE deployment_routings SET registered_at = least(registered_at,"
        " now() - make_interval(days => %s)) WHERE rollout = %s RETURNING 1",
        (days, of),
    )
    await rows_of(
        pool,
        "UPDATE unit_runs SET registered_at = least(registered_at,"
        " now() - make_interval(days => %s)) WHERE rollout = %s RETURNING 1",
        (days, of),
    )


def _ref(name: str) -> RolloutRef:
    return RolloutRef(rollout=name, namespace="agents", doer="planner")


def _of(done: list[Expired]) -> tuple[str, int, int]:
    (it,) = done
    return it.table, it.rows, it.held

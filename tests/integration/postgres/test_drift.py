"""The runs of a watched policy: one gapless order, whoever stores them, and nothing else in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import RunRow, store
from learnops.domain.observed import Key
from learnops.ports.runlog import DriftRows, DriftWatch
from tests.integration.postgres.conftest import KEY, ROLLOUT
from tests.integration.postgres.helpers import draw, registered, row, rows_of

WATCH = DriftWatch(id="uid.7.abc", policy="planner-v1", since_revision=7)


def outside(run_id: str, **changes: object) -> RunRow:
    """A run of the watched policy that no rollout drew."""
    return replace(row(run_id, rollout=None), **changes)  # type: ignore[arg-type]


async def read(runlog: PostgresRunLog, watch: DriftWatch = WATCH, *, key: Key = KEY) -> DriftRows:
    found = await runlog.drift_rows(key=key, watch=watch, limit=1000)
    assert found is not None
    return found


async def test_only_the_watched_policys_runs_since_its_promotion_are_numbered(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await store(pool, rows=[outside("before the watch")])
    await read(runlog)
    await registered(pool, ROLLOUT, draw("drawn"))
    await store(
        pool,
        rows=[
            outside("a", loss=0.1),
            outside("another policy", policy="planner-v2"),
            outside("another doer", doer="coder"),
            outside("another namespace", namespace="tests"),
            outside("drawn before the promotion", revision=6),
            row("drawn"),
            outside("b", loss=0.2, revision=8),
        ],
    )
    rows = await read(runlog)
    assert (list(rows.seq), list(rows.loss)) == ([1, 2], [0.1, 0.2])


@pytest.mark.every_postgres
async def test_sixteen_writers_make_one_order_without_a_gap(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await read(runlog)

    async def write(writer: int) -> None:
        for batch in range(5):
            names = [f"{writer}-{batch}-{number}" for number in range(7)]
            await store(pool, rows=[outside(name) for name in names])

    await asyncio.gather(*(write(writer) for writer in range(16)))
    rows = await read(runlog)
    assert list(rows.seq) == list(range(1, 16 * 5 * 7 + 1))


async def test_a_run_that_is_delivered_again_is_numbered_once(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await read(runlog)
    await store(pool, rows=[outside("a")])
    await store(pool, rows=[outside("a"), outside("b")])
    assert list((await read(runlog)).seq) == [1, 2]
    assert await rows_of(pool, "SELECT run_id FROM drift_runs ORDER BY seq") == [("a",), ("b",)]


async def test_a_new_promotion_begins_anew_and_the_old_one_does_not_come_back(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await read(runlog)
    await store(pool, rows=[outside("a")])
    await runlog.save_drift(key=KEY, watch=WATCH, state="old", watermark=1)
    newer = DriftWatch(id="uid.9.abc", policy="planner-v2", since_revision=9)
    assert await read(runlog, newer) == DriftRows(state=None, watermark=0, seq=[], loss=[])
    await store(
        pool, rows=[outside("b", revision=9), outside("c", policy="planner-v2", revision=9)]
    )
    assert list((await read(runlog, newer)).seq) == [1]
    # A replaced operator that has not seen the promotion.
    assert await runlog.drift_rows(key=KEY, watch=WATCH, limit=10) is None
    await runlog.save_drift(key=KEY, watch=WATCH, state="late", watermark=5)
    assert (await read(runlog, newer)).state is None


async def test_weights_that_are_set_back_are_watched_anew_and_every_run_is_stored(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    other = replace(WATCH, id="uid.7.def")
    await read(runlog)
    await store(pool, rows=[outside("a"), outside("b")])
    await read(runlog, other)
    await store(pool, rows=[outside("c")])
    again = await read(runlog)  # the same promotion, and the weights of its first runs
    assert (again.state, list(again.seq)) == (None, [])
    assert await store(pool, rows=[outside("d", loss=0.4)]) == {("agents", "d")}
    rows = await read(runlog)
    assert list(rows.seq) == [rows.watermark + 1]
    assert list(rows.loss) == [0.4]


async def test_a_doer_that_was_made_again_is_watched_from_its_own_revisions(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await read(runlog)
    again = DriftWatch(id="other-uid.3.abc", policy="planner-v1", since_revision=3)
    assert (await read(runlog, again)).watermark == 0
    await store(pool, rows=[outside("a", revision=3)])
    assert list((await read(runlog, again)).seq) == [1]


async def test_after_the_alarm_nothing_is_numbered_until_the_next_watch(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await read(runlog)
    await store(pool, rows=_losses([0.1, 0.9]))
    await runlog.save_drift(key=KEY, watch=WATCH, state="alarm", watermark=1, alarmed=True)
    assert await store(pool, rows=[outside("after")]) == {("agents", "after")}
    assert await rows_of(pool, "SELECT count(*) FROM drift_runs") == [(2,)]
    # The second had come before the alarm was on record: read again, it is not judged.
    assert await read(runlog) == DriftRows(state="alarm", watermark=1, seq=[], loss=[])
    other = replace(WATCH, id="uid.7.def")  # other weights
    await read(runlog, other)
    await store(pool, rows=[outside("anew", loss=0.3)])
    assert list((await read(runlog, other)).loss) == [0.3]


async def test_reading_goes_on_from_the_state_that_was_saved(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await read(runlog)
    await store(pool, rows=_losses([0.1, 0.2, 0.3]))
    first = await runlog.drift_rows(key=KEY, watch=WATCH, limit=2)
    assert first == DriftRows(state=None, watermark=0, seq=[1, 2], loss=[0.1, 0.2])
    await runlog.save_drift(key=KEY, watch=WATCH, state="two", watermark=2)
    await runlog.save_drift(key=KEY, watch=WATCH, state="one", watermark=1)  # a slower look
    assert await read(runlog) == DriftRows(state="two", watermark=2, seq=[3], loss=[0.3])


async def test_reading_on_does_not_read_what_was_judged(pool: Pool, runlog: PostgresRunLog) -> None:
    await read(runlog)
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO drift_runs SELECT 'agents', 'planner', 'uid.7.abc', g, 'r' || g, 0.5"
            " FROM generate_series(1, 30000) g"
        )
        await connection.execute("ANALYZE drift_runs")
    await runlog.save_drift(key=KEY, watch=WATCH, state="most", watermark=29_990)
    before = await _read_rows(pool)
    rows = await read(runlog)
    assert list(rows.seq) == list(range(29_991, 30_001))
    assert await _read_rows(pool) - before < 100


async def _read_rows(pool: Pool) -> int:
    async with pool.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    ((found,),) = await rows_of(
        pool,
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'drift_runs'",
    )
    assert isinstance(found, int)
    return found


def _losses(losses: Sequence[float]) -> list[RunRow]:
    return [outside(f"r{place}", loss=loss) for place, loss in enumerate(losses)]

"""Signals under many writers: the reward is that of all that was stored, whoever came last."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.erasure import erase_tenant, follow_erasures
from learnops.adapters.postgres.retention import expire
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.adapters.postgres.signals import (
    KeyTakenError,
    RunSignals,
    Signal,
    TooManySignalsError,
    UnknownRunError,
    append,
    of_run,
)
from learnops.domain.reward import DEFAULT_WEIGHTS, reward
from tests.integration.postgres.conftest import ROLLOUT
from tests.integration.postgres.helpers import draw, filled, registered, reported, row, rows_of

ALL = {"compile": 1.0, "tests": 0.5, "errors": 0.25, "human": 0.0}


def told(
    run_id: str, *signals: Signal, weights: Mapping[str, float] = DEFAULT_WEIGHTS
) -> RunSignals:
    return RunSignals(
        namespace="agents", run_id=run_id, doer="planner", signals=signals, weights=weights
    )


def later(name: str, value: float, key: str) -> Signal:
    return Signal(name=name, value=value, key=key)


@pytest.mark.every_postgres
async def test_many_at_once_lose_none_and_the_reward_is_that_of_the_last(pool: Pool) -> None:
    await reported(pool, "a")
    names = list(ALL)
    sent = [later(names[n % 4], (n * 37 % 100) / 100, f"k{n}") for n in range(80)]
    room = asyncio.Semaphore(await filled(pool))

    async def tell(signal: Signal) -> None:
        async with room:
            await append(pool, run=told("a", signal))

    await asyncio.gather(*(tell(signal) for signal in sent))
    signals, found = await of_run(pool, key=("agents", "a"))
    assert {it["key"] for it in signals} == {it.key for it in sent}
    last = {it["name"]: it["value"] for it in signals}  # in the order of arrival
    expected = reward(last, weights=DEFAULT_WEIGHTS)
    assert expected is not None
    assert found is not None
    assert found.value == expected.value


async def test_the_same_at_once_is_stored_once(pool: Pool) -> None:
    await reported(pool, "a")
    same = told("a", later("tests", 1, "k"))
    done = await asyncio.gather(*(append(pool, run=same) for _ in range(16)))
    assert sorted(it.new for it in done) == [(False,)] * 15 + [(True,)]


@pytest.mark.every_postgres
async def test_bundles_and_signals_of_the_same_runs_do_not_lock_each_other_out(pool: Pool) -> None:
    """A batch locks the rows of many runs, whose signals come while it is stored."""
    runs = [f"r{number:03}" for number in range(60)]
    rows = [row(run, rollout=None) for run in (*runs[::-1][:30], *runs[:30])]
    rows = [
        replace(it, signals=told(it.run_id, *(Signal(name=n, value=v) for n, v in ALL.items())))
        for it in rows
    ]

    batches = [rows[start : start + 10] for start in range(0, 60, 10)]
    room = asyncio.Semaphore(await filled(pool) - len(batches))  # a connection each

    async def tell(run: str) -> None:
        while True:
            try:
                async with room:
                    await append(pool, run=told(run, later("tests", 1, "ci")))
                return
            except UnknownRunError:
                await asyncio.sleep(0)  # its bundle is not stored yet

    async with asyncio.timeout(60):
        stores = (store(pool, rows=it) for it in batches)
        await asyncio.gather(*(tell(run) for run in runs), *stores)
    expected = reward({**ALL, "tests": 1.0}, weights=DEFAULT_WEIGHTS)
    assert expected is not None
    found = await rows_of(pool, "SELECT DISTINCT reward, partial FROM v_run_rewards")
    assert found == [(expected.value, False)]


async def test_a_refused_request_leaves_nothing(pool: Pool) -> None:
    await reported(pool, "a")
    await append(pool, run=told("a", later("tests", 1, "k")))
    with pytest.raises(KeyTakenError) as taken:
        await append(pool, run=told("a", later("human", 1, "n"), later("tests", 0, "k")))
    assert taken.value.position == 1
    many = [later("tests", 0, str(number)) for number in range(100)]
    with pytest.raises(TooManySignalsError):
        await append(pool, run=told("a", *many))
    signals, found = await of_run(pool, key=("agents", "a"))
    assert [it["key"] for it in signals] == ["k"]
    assert found is not None
    assert found.value == 1.0
    with pytest.raises(UnknownRunError):
        await append(pool, run=told("nobody", later("tests", 1, "k")))
    assert await rows_of(pool, "SELECT run_id FROM run_rewards") == [("a",)]


async def test_a_repetition_leaves_the_reward_by_the_weights_of_its_time(pool: Pool) -> None:
    await reported(pool, "a")
    first = await append(pool, run=told("a", later("tests", 1, "k"), later("human", 0, "h")))
    other = {"human": 1.0}
    again = await append(pool, run=told("a", later("tests", 1, "k"), weights=other))
    assert again.reward == first.reward
    changed = await append(pool, run=told("a", later("tests", 1, "k2"), weights=other))
    assert (changed.reward.value, changed.reward.weights) == (0.0, other)


async def test_a_run_without_signals_is_in_the_view_without_a_reward(pool: Pool) -> None:
    await reported(pool, "a", loss=0.5)
    assert await rows_of(pool, "SELECT run_id, loss, reward FROM v_run_rewards") == [
        ("a", 0.5, None)
    ]


@pytest.mark.every_postgres
async def test_they_expire_with_their_run(pool: Pool) -> None:
    await reported(pool, "old", "young")
    for run in ("old", "young"):
        await append(pool, run=told(run, later("tests", 1, "k")))
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE runs SET received_at = now() - interval '30 days' WHERE run_id = 'old'"
        )
    await expire(pool, keep_days={"runs": 20})
    for table in ("runs", "signals", "run_rewards"):
        assert await rows_of(pool, f"SELECT run_id FROM {table}") == [("young",)]


async def test_erasing_a_tenant_takes_their_texts_and_leaves_the_reward(pool: Pool) -> None:
    await store(pool, rows=[replace(row("a", rollout=None), tenant="acme")])
    signal = replace(later("tests", 1, "k"), source="acme ci", note="acme said so")
    await append(pool, run=told("a", signal))
    await erase_tenant(pool, namespace="agents", tenant="acme", by="alice")
    assert await rows_of(pool, "SELECT source, note, value, key FROM signals") == [
        ("", "", 1.0, "k")
    ]
    assert await rows_of(pool, "SELECT tenant, reward FROM v_run_rewards") == [("(erased)", 1.0)]


async def test_what_is_told_of_an_erased_tenants_run_later_is_kept_without_texts(
    pool: Pool,
) -> None:
    await store(pool, rows=[replace(row("a", rollout=None), tenant="acme")])
    await append(pool, run=told("a", said("before")))
    await erase_tenant(pool, namespace="agents", tenant="acme", by="alice")
    done = await append(pool, run=told("a", said("before"), said("after")))
    assert done.new == (False, True)  # the first is a repetition, though its texts are gone
    assert await rows_of(pool, "SELECT key, source, note FROM signals ORDER BY id") == [
        ("before", "", ""),
        ("after", "", ""),
    ]


async def test_a_signal_waits_for_the_erasure_under_way_and_has_no_texts_then(pool: Pool) -> None:
    await store(pool, rows=[replace(row("a", rollout=None), tenant="acme")])
    async with asyncio.timeout(60), pool.connection() as erasing, erasing.transaction():
        await erasing.execute("UPDATE runs SET tenant = '(erased)'")
        adding = asyncio.create_task(append(pool, run=told("a", said("k"))))
        await waiting(pool, 1)
    await adding
    assert await rows_of(pool, "SELECT source, note FROM signals") == [("", "")]


async def test_an_erasure_waits_for_the_signal_under_way_and_blanks_it(pool: Pool) -> None:
    """A trigger holds the signal up after it was written, before its transaction ends."""
    await store(pool, rows=[replace(row("a", rollout=None), tenant="acme")])
    async with asyncio.timeout(60), pool.connection() as holder:
        await holder.execute(_HELD_UP)
        await holder.commit()
        await holder.execute("SELECT pg_advisory_xact_lock(4711)")
        adding = asyncio.create_task(append(pool, run=told("a", said("k"))))
        await waiting(pool, 1)
        erasing = asyncio.create_task(
            erase_tenant(pool, namespace="agents", tenant="acme", by="alice")
        )
        await waiting(pool, 2)
        await holder.commit()
        await asyncio.gather(adding, erasing)
    assert await rows_of(pool, "SELECT source, note FROM signals") == [("", "")]


async def test_a_signal_that_comes_while_its_run_expires_goes_by_itself_later(pool: Pool) -> None:
    await store(pool, rows=[row("a", rollout=None)])
    await append(pool, run=told("a", later("tests", 1, "early")))
    await rows_of(pool, "UPDATE runs SET received_at = now() - interval '40 days' RETURNING 1")
    async with asyncio.timeout(60), pool.connection() as holder:
        await holder.execute(_HELD_UP)
        await holder.commit()
        await holder.execute("SELECT pg_advisory_xact_lock(4711)")
        adding = asyncio.create_task(append(pool, run=told("a", later("human", 1, "late"))))
        await waiting(pool, 1)
        expiring = asyncio.create_task(expire(pool, keep_days={"runs": 30}))
        await waiting(pool, 2)
        await holder.commit()
        await asyncio.gather(adding, expiring)
    assert await rows_of(pool, "SELECT key FROM signals") == [("late",)]
    await rows_of(
        pool, "UPDATE run_rewards SET rewarded_at = now() - interval '2 days' RETURNING 1"
    )
    await expire(pool, keep_days={"signals": 1})
    for table in ("runs", "signals", "run_rewards"):
        assert await rows_of(pool, f"SELECT FROM {table}") == []


async def test_a_note_that_lands_behind_an_erasure_goes_with_its_next_pass(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    """Its run was registered alone when it came; the bundle and an erasure overtook it."""
    await registered(pool, ROLLOUT, draw("a"))
    async with asyncio.timeout(60), pool.connection() as holder:
        await holder.execute(_HELD_UP)
        await holder.commit()
        await holder.execute("SELECT pg_advisory_xact_lock(4711)")
        adding = asyncio.create_task(append(pool, run=told("a", said("k"))))
        await waiting(pool, 1)
        await store(pool, rows=[replace(row("a"), tenant="acme")])
        assert (await erase_tenant(pool, namespace="agents", tenant="acme", by="alice")).runs == 1
        await holder.commit()
        await adding
    assert await rows_of(pool, "SELECT source, note FROM signals") == [("acme ci", "acme said so")]
    await follow_erasures(pool)
    assert await rows_of(pool, "SELECT source, note FROM signals") == [("", "")]


_HELD_UP = """
CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END';
CREATE TRIGGER hold_up AFTER INSERT ON signals EXECUTE FUNCTION hold_up();
"""


def said(key: str) -> Signal:
    return replace(later("tests", 1, key), source="acme ci", note="acme said so")


async def waiting(pool: Pool, sessions: int) -> None:
    """Until so many sessions of this database wait for a lock; the caller has a deadline."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    query += " AND datname = current_database()"
    while True:
        if await rows_of(pool, query) == [(sessions,)]:
            return
        await asyncio.sleep(0.01)

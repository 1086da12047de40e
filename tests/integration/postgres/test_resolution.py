"""Bundle or timeout: the first wins; the prefix never skips an unresolved run."""

import asyncio

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.prefix import extend, open_prefixes, time_out
from learnops.adapters.postgres.registration import RolloutRef, void
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.api.canary import CanaryStage
from learnops.domain.plan import CloseRollout
from learnops.ports.runlog import LogRows
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, reported, row, rows_of

AGE = "UPDATE deployment_routings SET registered_at = registered_at - make_interval(secs => %s)"


async def test_the_prefix_stops_at_the_first_open_run(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, *(draw(run) for run in "abcd"))
    await reported(pool, "b", "c", "d")
    assert list((await _prefix(runlog)).seq) == []
    await reported(pool, "a", loss=0.75)
    rows = await _prefix(runlog)
    assert (list(rows.seq), list(rows.loss)) == ([1, 2, 3, 4], [0.75, 0.25, 0.25, 0.25])
    assert (rows.total, rows.overdue, rows.next_timeout_seconds) == (4, 0, None)
    assert list((await _prefix(runlog, after=2)).seq) == [3, 4]
    assert list((await _prefix(runlog, limit=3)).seq) == [1, 2, 3]


async def test_a_run_without_bundle_is_resolved_by_time_with_loss_one(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a", arm="candidate"), draw("b"))
    before = await _prefix(runlog)
    assert before.next_timeout_seconds == pytest.approx(600, abs=30)
    await _age(pool, seconds=601)
    rows = await _prefix(runlog)
    assert list(rows.timed_out) == [True, True]
    assert list(rows.loss) == [1.0, 1.0]
    assert list(rows.is_candidate) == [True, False]


async def test_a_late_loss_is_kept_apart(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, draw("a"))
    await _age(pool, seconds=601)
    await time_out(pool, rollouts=["uid.0"])
    assert await reported(pool, "a", loss=0.1) == {("agents", "a")}
    rows = await _prefix(runlog)
    assert (list(rows.loss), list(rows.timed_out)) == ([1.0], [True])
    assert await rows_of(pool, "SELECT loss FROM crl_results") == [(0.1,)]


@pytest.mark.every_postgres
async def test_bundle_and_timeout_at_once_resolve_each_run_once(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    names = [f"r-{item:03d}" for item in range(200)]
    await registered(pool, ROLLOUT, *(draw(name) for name in names))
    await _age(pool, seconds=601)
    halves = [names[start::8] for start in range(8)]
    await asyncio.gather(
        *(reported(pool, *half) for half in halves),
        *(time_out(pool, rollouts=["uid.0"]) for _ in range(8)),
    )
    rows = await _prefix(runlog, limit=1000)
    assert list(rows.seq) == list(range(1, 201))
    for loss, timed_out in zip(rows.loss, rows.timed_out, strict=True):
        assert loss == (1.0 if timed_out else 0.25)


async def test_void_runs_are_in_the_prefix_and_counted_for_no_arm(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a", arm="candidate"), draw("b"), draw("c"))
    await void(pool, namespace="agents", doer="planner", run_ids=["a"])
    await reported(pool, "b")
    await store(pool, rows=[row("c", void=True)])
    rows = await _prefix(runlog)
    assert list(rows.void) == [True, False, True]
    (counted,) = await _extend(pool)
    assert (counted.arm, counted.runs, counted.loss_sum) == ("control", 1, 0.25)


@pytest.mark.every_postgres
async def test_what_enters_the_prefix_is_counted_once_by_whoever_moves_it(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    names = [f"r-{item:03d}" for item in range(120)]
    await registered(pool, ROLLOUT, *(draw(name, arm="candidate") for name in names[:60]))
    await registered(pool, ROLLOUT, *(draw(name, revision=8) for name in names[60:]))
    parts = []

    async def replica() -> None:
        for _ in range(20):
            parts.extend(await _extend(pool))

    async def report() -> None:
        for start in range(0, 120, 10):
            await reported(pool, *names[start : start + 10], loss=0.5)

    await asyncio.gather(replica(), replica(), replica(), report())
    parts.extend(await _extend(pool))
    by_revision = {it: [part for part in parts if part.revision == it] for it in (7, 8)}
    for revision, arm in ((7, "candidate"), (8, "control")):
        assert sum(part.runs for part in by_revision[revision]) == 60
        assert sum(part.loss_sum for part in by_revision[revision]) == pytest.approx(30.0)
        assert sum(part.loss_sumsq for part in by_revision[revision]) == pytest.approx(15.0)
        assert {part.arm for part in by_revision[revision]} == {arm}


async def test_overdue_counts_what_the_reader_does_not_hold(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, *(draw(run) for run in "abc"))
    await reported(pool, *"abc")
    await _age(pool, seconds=600 + 61)
    assert (await _prefix(runlog, limit=1)).overdue == 2
    assert (await _prefix(runlog)).overdue == 0


async def test_time_out_uses_each_rollouts_own_maturation(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await runlog.open_rollout(key=KEY, rollout=rollout("uid.1", maturation_seconds=5))
    second = RolloutRef(rollout="uid.1", namespace="agents", doer="planner")
    await registered(pool, ROLLOUT, draw("a"))
    await registered(pool, second, draw("b"))
    await _age(pool, seconds=60)
    assert await time_out(pool, rollouts=["uid.0", "uid.1"]) == 1
    assert await rows_of(
        pool, "SELECT run_id FROM deployment_routings WHERE resolution = 'Timeout'"
    ) == [("b",)]


async def test_the_lag_of_a_prefix_begins_at_maturation_and_ends_with_the_rollout(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    async def lag() -> float | None:
        (one,) = await open_prefixes(pool, recent_seconds=600)
        return one.lag_seconds

    await runlog.open_rollout(key=KEY, rollout=rollout("uid.1", maturation_seconds=60))
    ref = RolloutRef(rollout="uid.1", namespace="agents", doer="planner")
    await runlog.close_rollout(
        key=KEY, rollout=CloseRollout(rollout="uid.0", outcome=CanaryStage.ABORTED)
    )
    async with pool.connection() as connection:
        await connection.execute(
            "UPDATE shadow_deployments SET ended_at = '2000-01-01' WHERE id = 'uid.0'"
        )
    assert await lag() == 0
    await registered(pool, ref, draw("a"))
    assert await lag() == 0
    await _age(pool, seconds=120)
    assert 60 <= (await lag() or 0) < 90
    await time_out(pool, rollouts=["uid.1"])
    assert 60 <= (await lag() or 0) < 90  # resolved, and in no counter yet
    await _extend(pool)
    assert await lag() == 0


async def _prefix(runlog: PostgresRunLog, *, after: int = 0, limit: int = 100) -> LogRows:
    return await runlog.resolved_prefix(
        key=KEY,
        rollout="uid.0",
        candidate="planner-v2",
        after=after,
        limit=limit,
        grace_seconds=60,
    )


async def _extend(pool: Pool) -> list:  # type: ignore[type-arg]
    parts = []
    for each in await open_prefixes(pool, recent_seconds=600):
        parts += await extend(pool, rollout=each)
    return parts


async def _age(pool: Pool, *, seconds: float) -> None:
    """Let time pass for what is registered."""
    async with pool.connection() as connection:
        await connection.execute(AGE, (seconds,))

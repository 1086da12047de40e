"""What is old goes, a page at a time; what a decision still needs stays."""

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.expiries import EXPIRIES
from learnops.adapters.postgres.retention import Expired, expire
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store, stored
from learnops.domain.plan import CloseRollout
from learnops.ports.runlog import DriftWatch
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, row, rows_of

ALL = {it.table: it.least_days for it in EXPIRIES}


@pytest.mark.every_postgres
async def test_old_runs_go_with_their_losses_and_young_ones_stay(pool: Pool) -> None:
    await _outside(pool, "old-1", "old-2", "old-3")
    await _age(pool, days=30)
    await _outside(pool, "young")
    seen: list[int] = []
    (done,) = await expire(
        pool, keep_days={"runs": 20}, page=2, told=lambda _table, rows: seen.append(rows)
    )
    assert (done.table, done.days, done.rows, done.held) == ("runs", 20, 3, 0)
    assert seen == [2, 1]
    assert await rows_of(pool, "SELECT run_id FROM runs") == [("young",)]
    assert await rows_of(pool, "SELECT run_id FROM crl_results") == [("young",)]


async def test_a_trial_says_the_same_and_changes_nothing(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await _everything_old(pool, runlog)
    before = await _counts(pool)
    foreseen = await expire(pool, keep_days=ALL, dry_run=True)
    assert await _counts(pool) == before
    done = await expire(pool, keep_days=ALL)
    assert [(it.table, it.rows) for it in foreseen] == [(it.table, it.rows) for it in done]
    assert {it.table for it in done if it.rows} == set(ALL)
    assert not any(it.rows for it in await expire(pool, keep_days=ALL))


async def test_bundles_expire_while_their_scores_stay(pool: Pool) -> None:
    await _outside(pool, "a", "b")
    await _age(pool, days=3)
    (done,) = await expire(pool, keep_days={"learning_bundles": 2}, page=1)
    assert (done.rows, done.held) == (2, 0)
    assert await rows_of(pool, "SELECT count(*) FROM learning_bundles") == [(0,)]
    found = await stored(pool, keys=[("agents", "a")])
    assert found["agents", "a"].loss == 0.25
    # A repeat of the report is still known for what it was.
    assert found["agents", "a"].content_hash == b"content"
    ((mark,),) = await rows_of(pool, "SELECT done_until < now() FROM retention_marks")
    assert mark


@pytest.mark.parametrize("table", ["learning_bundles", "runs"])
async def test_runs_of_a_live_rollout_are_held(
    pool: Pool, runlog: PostgresRunLog, table: str
) -> None:
    await registered(pool, ROLLOUT, draw("evidence"))
    await store(pool, rows=[row("evidence")])
    await _outside(pool, "paired", "other")
    await rows_of(
        pool,
        "INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id)"
        " VALUES ('uid.0', 1, 'agents', 'planner', 'paired') RETURNING 1",
    )
    await _age(pool, days=30)
    (done,) = await expire(pool, keep_days={table: 10})
    assert (done.rows, done.held) == (1, 2)
    kept = "SELECT run_id FROM runs WHERE bundle IS NOT NULL ORDER BY 1"
    assert await rows_of(pool, kept) == [("evidence",), ("paired",)]
    # The rollout ends, and a day later nothing needs them any more.
    await _end(pool, runlog, days=2)
    (done,) = await expire(pool, keep_days={table: 10})
    assert (done.rows, done.held) == (2, 0)


@pytest.mark.every_postgres
async def test_draws_go_only_with_a_rollout_that_ended_so_long_ago(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, ROLLOUT, draw("a"), draw("b"), draw("c"))
    await rows_of(pool, "UPDATE deployment_routings SET registered_at = now() - '90 days'::interval"
                        " RETURNING 1")  # fmt: skip
    assert _rows(await expire(pool, keep_days={"deployment_routings": 5})) == 0
    await _end(pool, runlog, days=4)
    assert _rows(await expire(pool, keep_days={"deployment_routings": 5})) == 0
    await _end(pool, runlog, days=6)
    assert _rows(await expire(pool, keep_days={"deployment_routings": 5}, page=2)) == 3
    # The attempt itself is never forgotten: the next one is paid for by it.
    assert await runlog.attempts(key=KEY) == {"v1:abc": 1}


async def test_a_watch_keeps_what_its_detector_has_not_read(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    watch = DriftWatch(id="u.1", policy="planner-v1", since_revision=0)
    await runlog.drift_rows(key=KEY, watch=watch, limit=10)
    await _outside(pool, "read-1", "read-2", "unread")
    await runlog.save_drift(key=KEY, watch=watch, state="{}", watermark=2)
    await _age(pool, days=30)
    assert _rows(await expire(pool, keep_days={"drift_runs": 10})) == 2
    found = await runlog.drift_rows(key=KEY, watch=watch, limit=10)
    assert found is not None
    assert (list(found.seq), list(found.loss)) == ([3], [0.25])


async def test_a_watch_that_raised_its_alarm_keeps_nothing(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    watch = DriftWatch(id="u.1", policy="planner-v1", since_revision=0)
    await runlog.drift_rows(key=KEY, watch=watch, limit=10)
    await _outside(pool, "read", "unread-1", "unread-2")
    await runlog.save_drift(key=KEY, watch=watch, state="{}", watermark=1, alarmed=True)
    await _age(pool, days=30)
    assert _rows(await expire(pool, keep_days={"drift_runs": 10})) == 3


async def test_the_runs_of_units_go_with_their_units(pool: Pool, runlog: PostgresRunLog) -> None:
    await _everything_old(pool, runlog)
    await expire(pool, keep_days={"deployment_routings": 1})
    assert await rows_of(pool, "SELECT count(*) FROM unit_runs") == [(0,)]


async def _everything_old(pool: Pool, runlog: PostgresRunLog) -> None:
    """A row in every table that may expire."""
    watch = DriftWatch(id="u.1", policy="planner-v1", since_revision=0)
    await runlog.drift_rows(key=KEY, watch=watch, limit=10)
    await registered(pool, ROLLOUT, draw("drawn"))
    await store(pool, rows=[row("drawn"), row("outside", rollout=None)])
    await runlog.save_drift(key=KEY, watch=watch, state="{}", watermark=1)
    for statement in (
        "INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id)"
        " VALUES ('uid.0', 1, 'agents', 'planner', 'drawn') RETURNING 1",
        "INSERT INTO unit_runs (namespace, run_id, rollout, seq)"
        " VALUES ('agents', 'drawn', 'uid.0', 1) RETURNING 1",
        "INSERT INTO voided_runs (namespace, doer, run_id, voided_at)"
        " VALUES ('agents', 'planner', 'late', now() - '60 days'::interval) RETURNING 1",
        "INSERT INTO run_rewards (namespace, run_id, doer, sent_apart, rewarded_at)"
        " VALUES ('agents', 'silent', 'planner', true, now() - '60 days'::interval) RETURNING 1",
        "INSERT INTO signals (namespace, run_id, doer, origin, name, value, key)"
        " VALUES ('agents', 'silent', 'planner', 'Later', 'tests', 1, 'ci') RETURNING 1",
    ):
        await rows_of(pool, statement)
    await _age(pool, days=60)
    await _end(pool, runlog, days=60)


async def _outside(pool: Pool, *run_ids: str) -> None:
    await store(pool, rows=[row(run_id, rollout=None) for run_id in run_ids])


async def _age(pool: Pool, *, days: int) -> None:
    """As if everything so far had been stored that long ago."""
    for statement in (
        "UPDATE runs SET received_at = received_at - make_interval(days => %s) RETURNING 1",
        'UPDATE learning_progress SET "timestamp" = "timestamp" - make_interval(days => %s)'
        " RETURNING 1",
    ):
        await rows_of(pool, statement, (days,))


async def _end(pool: Pool, runlog: PostgresRunLog, *, days: int) -> None:
    ended = CloseRollout(rollout=rollout().rollout, outcome="RolledBack")
    await runlog.close_rollout(key=KEY, rollout=ended)
    await rows_of(
        pool,
        "UPDATE shadow_deployments SET ended_at = now() - make_interval(days => %s) RETURNING 1",
        (days,),
    )


async def _counts(pool: Pool) -> list[tuple[object, ...]]:
    return await rows_of(
        pool,
        "SELECT (SELECT count(bundle) FROM runs), (SELECT count(*) FROM crl_results),"
        " (SELECT count(*) FROM learning_progress), (SELECT count(*) FROM deployment_routings),"
        " (SELECT count(*) FROM unit_runs), (SELECT count(*) FROM shadow_pairs),"
        " (SELECT count(*) FROM drift_runs), (SELECT count(*) FROM voided_runs),"
        " (SELECT count(*) FROM daily_rollups), (SELECT count(*) FROM signals),"
        " (SELECT count(*) FROM run_rewards)",
    )


def _rows(done: list[Expired]) -> int:
    return sum(it.rows for it in done)

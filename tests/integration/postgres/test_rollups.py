"""Figures by day: right with and without a refresh, and they outlive what they are made of."""

from datetime import UTC, date, datetime, timedelta

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.retention import close_days, expire
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.api.policy import Stage
from learnops.domain.observed import Promotion
from tests.integration.postgres.conftest import KEY, ROLLOUT
from tests.integration.postgres.helpers import draw, registered, row, rows_of

_FIGURES = """
SELECT date, runs, avg_loss, rollout_runs, ab_coverage, shadow_runs, automatic_promotions,
       manual_promotions, regressions, guardrail_hits
FROM v_daily_rollup WHERE namespace = 'agents' AND doer = 'planner' ORDER BY date
"""


async def test_a_day_has_its_runs_its_share_of_drawn_ones_and_its_moves(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await _a_day(pool, runlog)
    (day,) = await rows_of(pool, _FIGURES)
    assert day[1:] == (4, pytest.approx((0.5 + 0.5 + 0.25 + 0.25) / 4), 2, 0.5, 1, 1, 1, 5, 2)


@pytest.mark.every_postgres
async def test_days_that_are_over_are_closed_once_and_say_the_same(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await _a_day(pool, runlog)
    await _days_earlier(pool, days=3)
    before = await rows_of(pool, _FIGURES)
    await close_days(pool)
    assert await rows_of(pool, "SELECT count(*) FROM daily_rollups") == [(1,)]
    await close_days(pool)
    assert await rows_of(pool, _FIGURES) == before


async def test_a_run_that_is_reported_late_counts_on_the_day_it_came(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await _a_day(pool, runlog)
    await _days_earlier(pool, days=3)
    await close_days(pool)
    await store(pool, rows=[row("late", loss=0.75, rollout=None)])
    trend = await rows_of(
        pool, "SELECT doer, date, avg_loss, run_count FROM v_crl_trend_by_doer ORDER BY date"
    )
    assert [line[3] for line in trend] == [4, 1]
    assert trend[1][2] == 0.75


async def test_a_day_is_not_closed_in_its_first_hour_after_midnight(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    """A transaction that began before midnight may still be storing runs of it."""
    await _a_day(pool, runlog)
    await close_days(pool)
    ((open_from,), (now,)) = await rows_of(
        pool,
        "SELECT open_from FROM rollup_state UNION ALL"
        " SELECT ((now() - interval '1 hour') AT TIME ZONE 'UTC')::date",
    )
    assert open_from == now
    assert isinstance(open_from, date)
    assert open_from >= (datetime.now(UTC) - timedelta(hours=1, minutes=5)).date()


@pytest.mark.every_postgres
async def test_the_trend_outlives_its_runs(pool: Pool, runlog: PostgresRunLog) -> None:
    await _a_day(pool, runlog)
    await _days_earlier(pool, days=30)
    await rows_of(
        pool,
        "UPDATE shadow_deployments SET ended_at = now() - interval '30 days' RETURNING 1",
    )
    before = await rows_of(pool, _FIGURES)
    done = await expire(pool, keep_days={"runs": 20, "learning_progress": 20, "shadow_pairs": 20})
    assert [it.rows for it in done] == [4, 4, 1]
    assert await rows_of(pool, _FIGURES) == before


async def _a_day(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, draw("a"), draw("b"))
    await store(pool, rows=[row("a", loss=0.5), row("b", loss=0.5)])
    await store(pool, rows=[row("c", rollout=None), row("d", rollout=None)])
    await rows_of(
        pool,
        "INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id)"
        " VALUES ('uid.0', 1, 'agents', 'planner', 'c') RETURNING 1",
    )
    moves = [
        _move("1", to=Stage.ACTIVE, rollout="uid.0"),
        _move("2", to=Stage.ACTIVE, rollout="uid.0", by="alice"),
        _move("3", to=Stage.REJECTED, reason="GuardrailBreached", culprit="p95"),
        _move("4", to=Stage.REJECTED, reason="Worse", culprit="grounding"),
        _move("5", to=Stage.REJECTED, reason="Worse", culprit="loss"),
        _move("6", to=Stage.ARCHIVED, reason="Worse", culprit="loss"),  # back to where it came from
        _move("7", to=Stage.REJECTED, why="on record again: the run log did not have it"),
        # None of these is a promotion, a regression or a hit.
        _move("8", to=Stage.ACTIVE, rollout="", why="first policy"),
        _move("9", to=Stage.REJECTED, reason="Futile", why="v2 is worse in a sentence alone"),
        _move("10", to=Stage.DRAFT, reason="Aborted"),
        _move("11", to=Stage.ARCHIVED, why="replaced by v3"),
    ]
    await runlog.record_promotions(key=KEY, rows=moves)


def _move(
    number: str,
    *,
    to: Stage,
    rollout: str = "uid.0",
    by: str = "operator",
    reason: str = "",
    culprit: str = "",
    why: str = "",
) -> Promotion:
    return Promotion(
        transition_id=number,
        policy="v2",
        digest="",
        identity="",
        from_stage=Stage.CANARY,
        to_stage=to,
        by=by,
        why=why,
        rollout=rollout,
        reason=reason,
        culprit=culprit,
    )


async def _days_earlier(pool: Pool, *, days: int) -> None:
    """As if all of it had happened that long ago."""
    for statement in (
        "UPDATE runs SET received_at = received_at - make_interval(days => %s) RETURNING 1",
        'UPDATE learning_progress SET "timestamp" = "timestamp" - make_interval(days => %s)'
        " RETURNING 1",
        "UPDATE shadow_pairs SET registered_at = registered_at - make_interval(days => %s)"
        " RETURNING 1",
        "ALTER TABLE policy_promotions DISABLE TRIGGER trigger_promotions_append_only",
        "UPDATE policy_promotions SET recorded_at = recorded_at - make_interval(days => %s)"
        " RETURNING 1",
        "ALTER TABLE policy_promotions ENABLE TRIGGER trigger_promotions_append_only",
    ):
        async with pool.connection() as connection:
            values = (days,) if "%s" in statement else ()
            await connection.execute(statement.encode(), values)

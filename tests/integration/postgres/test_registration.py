"""The order of evidence: gapless, commit-ordered, the same for whoever asks again."""

import asyncio

import psycopg
import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.registration import RolloutRef, void
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import store
from learnops.domain.plan import CloseRollout
from tests.integration.postgres.conftest import KEY, ROLLOUT, rollout
from tests.integration.postgres.helpers import draw, registered, reported, row, rows_of

WRITERS = 16
BATCHES = 12


@pytest.mark.every_postgres
async def test_sequence_is_gapless_under_sixteen_writers(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    async def write(writer: int) -> None:
        for batch in range(BATCHES):
            # Every other batch repeats runs that another writer registers as well.
            owner = writer if batch % 2 else 0
            draws = [draw(f"r-{owner}-{batch}-{item}") for item in range(5)]
            assert all(await registered(pool, ROLLOUT, *draws))

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    found = await rows_of(pool, "SELECT seq, registered_at FROM deployment_routings ORDER BY seq")
    expected = (BATCHES // 2) * 5 * (WRITERS + 1)
    assert [seq for seq, _at in found] == list(range(1, expected + 1))
    times = [at for _seq, at in found]
    assert times == sorted(times)  # type: ignore[type-var]
    rows = await runlog.resolved_prefix(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=0, limit=10, grace_seconds=60
    )
    assert rows.total == expected


async def test_a_refused_batch_leaves_no_gap(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, draw("a"))
    with pytest.raises(psycopg.errors.CheckViolation):
        await registered(pool, ROLLOUT, draw("bad", propensity=1.0))
    await registered(pool, ROLLOUT, draw("b"))
    assert await rows_of(pool, "SELECT seq, run_id FROM deployment_routings ORDER BY seq") == [
        (1, "a"),
        (2, "b"),
    ]


async def test_registering_again_answers_the_first_draw(pool: Pool, runlog: PostgresRunLog) -> None:
    (first,) = await registered(pool, ROLLOUT, draw("a", arm="candidate", propensity=0.1))
    (again,) = await registered(pool, ROLLOUT, draw("a", arm="control", propensity=0.5, revision=9))
    assert again == first
    assert first is not None
    assert (first.arm, first.propensity, first.revision, first.counts) == (
        "candidate",
        0.1,
        7,
        True,
    )


async def test_a_later_run_of_a_unit_keeps_its_arm_and_is_no_evidence(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    first, second = await registered(
        pool,
        ROLLOUT,
        draw("a", unit_id="session", arm="candidate"),
        draw("b", unit_id="session", arm="candidate"),
    )
    (third,) = await registered(
        pool, ROLLOUT, draw("c", unit_id="session", arm="control", propensity=0.5)
    )
    assert first is not None
    assert first.counts
    for later in (second, third):
        assert later is not None
        assert (later.arm, later.propensity, later.counts) == ("candidate", 0.1, False)
    assert await rows_of(pool, "SELECT run_id FROM deployment_routings") == [("a",)]


@pytest.mark.parametrize("name", ["uid.0", "never-opened.0"])
async def test_an_ended_or_unknown_rollout_registers_nothing(
    pool: Pool, runlog: PostgresRunLog, name: str
) -> None:
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="uid.0", outcome="Promoted"))
    reference = RolloutRef(rollout=name, namespace="agents", doer="planner")
    assert await registered(pool, reference, draw("a")) == [None]
    assert await rows_of(pool, "SELECT count(*) FROM deployment_routings") == [(0,)]


async def test_a_run_of_another_rollout_is_not_numbered_again(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await runlog.open_rollout(key=KEY, rollout=rollout("uid.1"))
    await registered(pool, ROLLOUT, draw("a"))
    second = RolloutRef(rollout="uid.1", namespace="agents", doer="planner")
    assert [each is None for each in await registered(pool, second, draw("a"), draw("b"))] == [
        True,
        False,
    ]
    assert await rows_of(
        pool, "SELECT seq, run_id FROM deployment_routings WHERE rollout = 'uid.1'"
    ) == [(1, "b")]


async def test_void_only_what_is_open(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, draw("a"), draw("b"))
    await reported(pool, "a", loss=0.5)
    voided = await void(
        pool, namespace="agents", doer="planner", run_ids=["a", "b", "never-registered"]
    )
    assert voided == ["b"]
    assert await rows_of(
        pool, "SELECT run_id, resolution, loss FROM deployment_routings ORDER BY seq"
    ) == [("a", "Bundle", 0.5), ("b", "Void", None)]


async def test_a_voided_run_stays_void_when_it_reports(pool: Pool, runlog: PostgresRunLog) -> None:
    await registered(pool, ROLLOUT, draw("a"))
    await void(pool, namespace="agents", doer="planner", run_ids=["a"])
    await reported(pool, row("a").run_id)
    assert await rows_of(pool, "SELECT resolution, loss FROM deployment_routings") == [
        ("Void", None)
    ]


async def test_a_void_that_comes_first_voids_the_registration_all_the_same(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    assert await void(pool, namespace="agents", doer="planner", run_ids=["a"]) == []
    assert await void(pool, namespace="agents", doer="judge", run_ids=["b"]) == []
    first, second = await registered(pool, ROLLOUT, draw("a"), draw("b"))
    assert first is None
    assert second is not None
    assert await rows_of(pool, "SELECT seq, run_id FROM deployment_routings") == [(1, "b")]


async def test_void_and_registration_at_once_leave_nothing_open(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    async def late(run_id: str) -> None:
        await asyncio.gather(
            registered(pool, ROLLOUT, draw(run_id)),
            void(pool, namespace="agents", doer="planner", run_ids=[run_id]),
        )

    for round_ in range(20):
        await asyncio.gather(*(late(f"r-{round_}-{item}") for item in range(8)))
    open_ = "SELECT count(*) FROM deployment_routings WHERE resolved_at IS NULL"
    assert await rows_of(pool, open_) == [(0,)]
    gaps = "SELECT max(seq) - count(*) FROM deployment_routings"
    assert await rows_of(pool, gaps) in ([(0,)], [(None,)])


async def test_voids_are_forgotten_after_a_day(pool: Pool, runlog: PostgresRunLog) -> None:
    await void(pool, namespace="agents", doer="planner", run_ids=["a"])
    await rows_of(pool, "UPDATE voided_runs SET voided_at = now() - interval '2 days' RETURNING 1")
    await void(pool, namespace="agents", doer="planner", run_ids=["b"])
    assert await rows_of(pool, "SELECT run_id FROM voided_runs") == [("b",)]


async def test_a_run_that_was_reported_before_is_not_registered(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    # Its bundle is stored and would never resolve the registration: it would count as lost.
    await store(pool, rows=[row("nightly", rollout=None)])
    assert await registered(pool, ROLLOUT, draw("nightly")) == [None]
    assert await rows_of(pool, "SELECT 1 FROM deployment_routings") == []

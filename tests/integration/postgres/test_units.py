"""Sessions and tenants as units: one draw, one number, the mean loss of the runs in the window."""

import asyncio

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.prefix import extend, open_prefixes, time_out
from learnops.adapters.postgres.registration import RolloutRef, void
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.runs import registrations, store
from learnops.api.assignment import Unit
from learnops.ports.runlog import LogRows
from tests.integration.postgres.conftest import KEY, rollout
from tests.integration.postgres.helpers import draw, filled, registered, reported, row, rows_of

SESSIONS = RolloutRef(rollout="s.0", namespace="agents", doer="planner")
TENANTS = RolloutRef(rollout="t.0", namespace="agents", doer="planner")
EPOCH = 3600


@pytest.fixture
async def runlog(pool: Pool) -> PostgresRunLog:
    """One rollout of each unit that holds several runs."""
    log = PostgresRunLog(pool)
    await log.open_rollout(key=KEY, rollout=rollout("s.0", unit=Unit.SESSION))
    await log.open_rollout(
        key=KEY, rollout=rollout("t.0", unit=Unit.TENANT_EPOCH, epoch_seconds=EPOCH)
    )
    return log


async def test_the_first_run_of_a_session_draws_for_all_of_them(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    (first,) = await registered(pool, SESSIONS, draw("a", unit_id="s", arm="candidate"))
    assert first is not None
    assert (first.arm, first.propensity, first.counts) == ("candidate", 0.1, True)
    # The share has risen meanwhile, and another session begins in the same batch.
    later = draw("b", unit_id="s", arm="control", propensity=0.5, revision=8)
    other = draw("c", unit_id="o", propensity=0.5, revision=8)
    assert await registered(pool, SESSIONS, later, other, later) == [
        first,
        (await registered(pool, SESSIONS, other))[0],
        first,
    ]
    assert await rows_of(
        pool, "SELECT seq, unit_id, propensity FROM deployment_routings ORDER BY seq"
    ) == [(1, "s", 0.1), (2, "o", 0.5)]


async def test_the_observation_is_the_mean_and_comes_when_window_and_runs_are_over(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    for run in "abc":
        await registered(pool, SESSIONS, draw(run, unit_id="s", arm="candidate"))
    await reported(pool, "a", loss=0.2)
    await reported(pool, "b", loss=0.7)
    before = await _prefix(runlog)
    assert list(before.seq) == []
    assert before.next_timeout_seconds == pytest.approx(600, abs=30)
    await _age(pool, seconds=601)  # the window is over, and the third run is never heard of
    rows = await _prefix(runlog)
    assert list(rows.loss) == [pytest.approx((0.2 + 0.7 + 1) / 3)]
    assert list(rows.timed_out) == [pytest.approx(1 / 3)]
    assert (list(rows.is_candidate), rows.total, rows.overdue) == ([True], 1, 0)


async def test_a_unit_waits_for_a_run_that_began_late_in_its_window(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, SESSIONS, draw("a", unit_id="s"))
    await reported(pool, "a", loss=0.25)
    await _age(pool, seconds=540)
    await registered(pool, SESSIONS, draw("b", unit_id="s"))
    await _age(pool, seconds=90)  # the window is over
    waiting = await _prefix(runlog)
    assert list(waiting.seq) == []
    assert waiting.next_timeout_seconds == pytest.approx(510, abs=20)
    await reported(pool, "b", loss=0.75)
    assert list((await _prefix(runlog)).loss) == [0.5]


async def test_a_run_after_the_window_keeps_the_arm_and_is_no_evidence(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, SESSIONS, draw("a", unit_id="s", arm="candidate"))
    await reported(pool, "a", loss=0.25)
    await _age(pool, seconds=601)
    (late,) = await registered(pool, SESSIONS, draw("b", unit_id="s", propensity=0.5))
    assert late is not None
    assert (late.arm, late.propensity, late.counts) == ("candidate", 0.1, False)
    await reported(pool, "b", loss=1.0)
    assert list((await _prefix(runlog)).loss) == [0.25]
    (again,) = await registered(pool, SESSIONS, draw("c", unit_id="s", propensity=0.5))
    assert again == late  # also once it is resolved


async def test_withdrawn_runs_are_in_no_mean_and_a_unit_of_them_alone_is_void(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, SESSIONS, *(draw(run, unit_id="s") for run in "ab"))
    await registered(pool, SESSIONS, *(draw(run, unit_id="o") for run in "cd"))
    withdrawn = await void(pool, namespace="agents", doer="planner", run_ids=["a", "c"])
    assert sorted(withdrawn) == ["a", "c"]
    await store(pool, rows=[row("d", void=True)])
    await reported(pool, "b", loss=0.5)
    await _age(pool, seconds=601)
    rows = await _prefix(runlog)
    assert list(rows.void) == [False, True]
    assert rows.loss[0] == 0.5


async def test_a_tenant_is_drawn_anew_in_each_epoch_and_observed_at_its_end(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    epoch = await _epoch(pool)
    for run in "ab":
        unit = draw(run, unit_id=f"{epoch}/acme", arm="candidate", epoch=epoch)
        await registered(pool, TENANTS, unit)
    await registered(pool, TENANTS, draw("c", unit_id=f"{epoch + 1}/acme", epoch=epoch + 1))
    for run, loss in (("a", 0.0), ("b", 0.5), ("c", 1.0)):
        await reported(pool, run, loss=loss)
    # An hour passes: the first epoch is over for certain, the second at most as old.
    await _age(pool, seconds=EPOCH)
    rows = await _prefix(runlog, rollout="t.0")
    assert (list(rows.seq)[:1], list(rows.loss)[:1]) == ([1], [0.25])


async def test_no_window_is_longer_than_an_epoch_however_wrong_the_api_s_clock(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    for run, epoch in (("a", 0), ("b", 10**9)):
        await registered(pool, TENANTS, draw(run, unit_id=f"{epoch}/acme", epoch=epoch))
    await reported(pool, "a", "b", loss=0.5)
    await _age(pool, seconds=EPOCH + 1)
    assert list((await _prefix(runlog, rollout="t.0")).loss) == [0.5, 0.5]


async def test_guardrail_terms_are_means_in_which_silence_is_the_worst(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, SESSIONS, *(draw(run, unit_id="s") for run in "abc"))
    await store(pool, rows=[row("a", loss=0.25), row("b", loss=0.5)])
    await _age(pool, seconds=601)
    rows = await _prefix(runlog, terms=("grounding", "contradictions"))
    assert list(rows.terms["grounding"]) == [pytest.approx((0.25 + 0.5 + 1) / 3)]
    assert list(rows.terms["contradictions"]) == [1.0]
    # What an immediate guardrail looks at is never imputed.
    assert list(rows.worst["grounding"]) == [0.5]
    assert list(rows.worst["contradictions"]) == [None]


async def test_a_bundle_is_scored_and_labelled_as_its_unit_was_drawn(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, SESSIONS, draw("a", unit_id="s", arm="candidate"))
    await registered(pool, SESSIONS, draw("b", unit_id="s", propensity=0.5))
    found = await registrations(pool, keys=[("agents", "b")])
    assert found[("agents", "b")].arm == "candidate"
    assert found[("agents", "b")].propensity == 0.1
    assert found[("agents", "b")].rollout == "s.0"


@pytest.mark.every_postgres
async def test_units_enter_the_prefix_and_the_counters_once(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    for unit in range(30):
        runs = [draw(f"{unit}-{run}", unit_id=f"s{unit}") for run in range(2)]
        await registered(pool, SESSIONS, *runs)
        await reported(pool, f"{unit}-0", loss=0.5)
    await _age(pool, seconds=601)
    parts = []

    async def replica() -> None:
        for _ in range(5):
            await time_out(pool, rollouts=["s.0"])
            for each in await open_prefixes(pool, recent_seconds=600):
                parts.extend(await extend(pool, rollout=each))

    await asyncio.gather(*(replica() for _ in range(4)))
    assert sum(part.runs for part in parts) == 30
    assert sum(part.loss_sum for part in parts) == pytest.approx(30 * 0.75)
    assert sum(part.timeouts for part in parts) == pytest.approx(15.0)


async def test_runs_that_join_while_units_are_resolved_are_in_the_mean_or_do_not_count(
    pool: Pool, runlog: PostgresRunLog
) -> None:
    await registered(pool, SESSIONS, *(draw(f"f{n}", unit_id=f"s{n}") for n in range(40)))
    await reported(pool, *(f"f{n}" for n in range(40)), loss=0.0)
    room = asyncio.Semaphore(await filled(pool) - 2)  # a connection each, two for the others
    # Half of the windows end while the second runs come.
    await _age(pool, seconds=599.9)

    async def join(number: int) -> bool:
        async with room:
            (found,) = await registered(pool, SESSIONS, draw(f"g{number}", unit_id=f"s{number}"))
        assert found is not None
        return found.counts

    async def resolve() -> None:
        for _ in range(20):
            await time_out(pool, rollouts=["s.0"])

    joined = await asyncio.gather(*(join(n) for n in range(40)), resolve(), resolve())
    await _age(pool, seconds=1300)
    rows = await _prefix(runlog)
    wanted = [0.5 if counts else 0.0 for counts in joined[:40]]
    assert list(rows.loss) == wanted


async def _prefix(
    runlog: PostgresRunLog, *, rollout: str = "s.0", terms: tuple[str, ...] = ()
) -> LogRows:
    return await runlog.resolved_prefix(
        key=KEY,
        rollout=rollout,
        candidate="planner-v2",
        after=0,
        limit=100,
        grace_seconds=60,
        terms=terms,
    )


async def _epoch(pool: Pool) -> int:
    query = f"SELECT floor(extract(epoch FROM clock_timestamp()) / {EPOCH})::bigint"
    ((number,),) = await rows_of(pool, query)
    assert isinstance(number, int)
    return number


async def _age(pool: Pool, *, seconds: float) -> None:
    """Let time pass for what is registered."""
    async with pool.connection() as connection:
        for table, columns in (
            ("deployment_routings", ("registered_at", "window_ends_at")),
            ("unit_runs", ("registered_at",)),
        ):
            moved = ", ".join(f"{it} = {it} - make_interval(secs => %(by)s)" for it in columns)
            await connection.execute(f"UPDATE {table} SET {moved}", {"by": seconds})  # type: ignore[arg-type]

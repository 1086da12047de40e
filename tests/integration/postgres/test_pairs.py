"""Pairs of the shadow stage: numbered without a gap, resolved once, read as a prefix."""

import asyncio
from dataclasses import replace

import pytest

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.mirror import mirror_share
from learnops.adapters.postgres.pair_terms import TermMeans, term_means
from learnops.adapters.postgres.pairs import Told, open_pairs, tell
from learnops.adapters.postgres.registration import RolloutRef
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.domain.observed import Key
from learnops.domain.plan import CloseRollout, OpenRollout, Tried
from learnops.ports.runlog import PairRows
from tests.integration.postgres.helpers import reported, rows_of

KEY = Key(namespace="agents", doer="planner")
ROLLOUT = RolloutRef(rollout="shadow.0", namespace="agents", doer="planner")
OPENED = OpenRollout(
    rollout=ROLLOUT.rollout,
    canary="planner-canary",
    canary_uid="shadow",
    control="planner-v1",
    candidates=(Tried(name="planner-v2", identity="v1:two", attempt=1),),
    percent=0,
    maturation_seconds=600,
    crl={"weights": {"grounding": "1"}},
)


async def told(pool: Pool, run_id: str, *, loss: float) -> bytes | None:
    return (await tell(pool, told=[_told(run_id, loss=loss)])).get(("agents", run_id))


def _told(run_id: str, *, loss: float) -> Told:
    return Told(
        namespace="agents",
        run_id=run_id,
        doer="planner",
        loss=loss,
        breakdown={},
        content_hash=str(loss).encode(),
    )


async def read(pool: Pool, *, after: int = 0) -> PairRows:
    log = PostgresRunLog(pool)
    return await log.shadow_pairs(key=KEY, rollout=ROLLOUT.rollout, after=after, limit=100)


async def test_pairs_opened_at_once_are_numbered_without_a_gap(pool: Pool) -> None:
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=OPENED)
    batches = [[f"r{start + offset}" for offset in range(10)] for start in range(0, 80, 5)]
    opened = await asyncio.gather(
        *(open_pairs(pool, rollout=ROLLOUT, run_ids=batch) for batch in batches)
    )
    runs = [run_id for batch in opened for run_id in batch]
    assert len(runs) == len(set(runs)) == 85
    numbers = await rows_of(pool, "SELECT seq FROM shadow_pairs ORDER BY seq")
    assert numbers == [(seq,) for seq in range(1, 86)]


async def test_an_open_pair_holds_up_those_after_it_and_losses_are_frozen(pool: Pool) -> None:
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=OPENED)
    await open_pairs(pool, rollout=ROLLOUT, run_ids=["r1", "r2"])
    await reported(pool, "r1", "r2", loss=0.25)
    assert await told(pool, "r2", loss=0.5) is None
    rows = await read(pool)
    assert list(rows.seq) == []
    assert rows.next_timeout_seconds is not None
    assert 0 < rows.next_timeout_seconds <= 600
    assert await told(pool, "r1", loss=0.75) is None
    assert await told(pool, "r1", loss=0.1) == b"0.75"
    rows = await read(pool)
    assert list(zip(rows.seq, rows.candidate_loss, rows.control_loss, strict=True)) == [
        (1, 0.75, 0.25),
        (2, 0.5, 0.25),
    ]
    assert rows.next_timeout_seconds is None
    assert list((await read(pool, after=1)).seq) == [2]


async def test_batches_of_the_same_pairs_tell_each_once(pool: Pool) -> None:
    """Also where each has them in another order, and one had some of them before."""
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=OPENED)
    names = [f"r{number}" for number in range(200)]
    await open_pairs(pool, rollout=ROLLOUT, run_ids=names)
    await tell(pool, told=[_told(name, loss=0.5) for name in names[:50]])
    batches = [names, names[::-1], names[100:] + names[:100], names[::-1]]
    answers = await asyncio.gather(
        *(
            tell(pool, told=[_told(name, loss=number / 10) for name in batch])
            for number, batch in enumerate(batches)
        )
    )
    stored = dict(await rows_of(pool, "SELECT run_id, content_hash FROM shadow_pairs"))
    new = [name for held in answers for name in names if ("agents", name) not in held]
    assert sorted(new) == sorted(names[50:])
    for held in answers:
        assert {key[1]: held[key] for key in held} == {key[1]: stored[key[1]] for key in held}


async def test_a_run_has_one_pair_and_a_rollout_that_ended_opens_none(pool: Pool) -> None:
    log = PostgresRunLog(pool)
    await log.open_rollout(key=KEY, rollout=OPENED)
    await log.open_rollout(key=KEY, rollout=replace(OPENED, rollout="shadow.1"))
    again = replace(ROLLOUT, rollout="shadow.1")
    assert await open_pairs(pool, rollout=ROLLOUT, run_ids=["r1", "r1"]) == ["r1"]
    assert await open_pairs(pool, rollout=again, run_ids=["r1", "r2"]) == ["r2"]
    closed = CloseRollout(rollout="shadow.1", outcome="RolledBack")
    await log.close_rollout(key=KEY, rollout=closed)
    assert await open_pairs(pool, rollout=again, run_ids=["r3"]) == []


async def test_the_rollout_says_whether_it_is_in_shadow(pool: Pool) -> None:
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=OPENED)
    told_of = "SELECT mode, allocation_pct FROM shadow_deployments WHERE id = 'shadow.0'"
    assert await rows_of(pool, told_of) == [("shadow", 0)]
    await mirror_share(pool, rollout=ROLLOUT.rollout, percent=5)
    assert await rows_of(pool, told_of) == [("canary", 5)]


@pytest.mark.every_postgres
async def test_terms_are_compared_over_pairs_in_which_both_sides_told_them(pool: Pool) -> None:
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=OPENED)
    await open_pairs(pool, rollout=ROLLOUT, run_ids=["r1", "r2", "r3"])
    await reported(pool, "r1", "r2", "r3", loss=0.25)
    for run_id, mine in (("r1", 0.5), ("r2", 0.75)):
        told_terms = {"grounding": mine, "ragCoverage": 1.0}
        one = Told(
            namespace="agents",
            run_id=run_id,
            doer="planner",
            loss=mine,
            breakdown={"terms": told_terms},
            content_hash=b"x",
        )
        assert await tell(pool, told=[one]) == {}
    async with pool.connection() as connection:
        await connection.execute(
            'UPDATE crl_results SET breakdown = \'{"terms": {"grounding": 0.25}}\''
        )
    assert await term_means(pool, rollout=ROLLOUT.rollout) == []  # nothing is resolved yet
    await read(pool)
    means = await term_means(pool, rollout=ROLLOUT.rollout)
    assert means == [TermMeans(term="grounding", candidate=0.625, control=0.25, pairs=2)]

"""Figures of a live canary beside the passes: read rarely, kept while the run log is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio

from learnops.adapters.postgres.connection import Pool, make_pool
from learnops.adapters.postgres.figures import PostgresFigures
from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.app.evidence.figures import EVERY_SECONDS, CanaryFigures
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.domain.observed import FiguresReading
from testbed.postgres import Postgres
from tests.databases import own_server
from tests.integration.runtime.test_runlog_evidence import ROLLOUT, opened
from tests.unit.app.fakes import FakeClock
from tests.unit.app.models import KEY, canary, doer

# Every fifth run is the candidate's, better and dearer; each was reported an hour ago or less.
_FILL = """
WITH registered AS (
    INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                     propensity, revision, resolved_at, resolution, loss)
    SELECT %(rollout)s, n, 'agents', 'planner', n::text, n::text,
           CASE WHEN n %% 5 = 0 THEN 'candidate' ELSE 'control' END,
           CASE WHEN n %% 5 = 0 THEN 'v2' ELSE 'v1' END, 0.2, 5, clock_timestamp(), 'Bundle',
           CASE WHEN n %% 5 = 0 THEN 0.25 ELSE 0.30 END + (n * 7919 %% 100) / 500.0
    FROM generate_series(%(first)s::int, %(last)s::int) n
    RETURNING run_id, seq, arm
), numbered AS (
    UPDATE shadow_deployments SET next_seq = %(last)s + 1 WHERE id = %(rollout)s
)
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, cost_usd,
                  bundle, content_hash, received_at)
SELECT 'agents', run_id, 'planner', 'p', arm, 0.2, 5, %(rollout)s,
       CASE WHEN arm = 'candidate' THEN 0.03 ELSE 0.02 END, '{}', '',
       now() - interval '1 hour' * (1 - seq / 2000.0)
FROM registered
"""


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that the test may stop."""
    with own_server() as running:
        yield running


@pytest_asyncio.fixture
async def pool(server: Postgres) -> AsyncIterator[Pool]:
    """On a log with one open rollout."""
    url = server.create_database()
    upgrade(url)
    pool = make_pool(url, application="test", max_size=2)
    await pool.open()
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=opened())
    yield pool
    await pool.close()


async def fill(pool: Pool, *, first: int, last: int) -> None:
    async with pool.connection() as connection:
        await connection.execute(_FILL, {"rollout": ROLLOUT, "first": first, "last": last})


def looks() -> list[asyncio.Task[object]]:
    """The looks that are under way."""
    return [it for it in asyncio.all_tasks() if it.get_name() == "figures"]


class Canary:
    """One live canary: its evidence is read, then its figures are asked for."""

    def __init__(self, pool: Pool, *, deadline_seconds: float = 60.0) -> None:
        self.clock = FakeClock()
        self.object = canary(source="RunLog", deadlineSeconds=86_400)
        self.evidence = RunLogEvidence(runlog=PostgresRunLog(pool))
        source = PostgresFigures(pool, deadline_seconds=deadline_seconds)
        self.figures = CanaryFigures(
            source=source, clock=self.clock, state_of=self.evidence.state_of
        )

    async def look(self, *, runs: int) -> FiguresReading | None:
        """A pass; what it is told at once."""
        await self.evidence.read(key=KEY, doer=doer(), canary=self.object, candidate="v2")
        return self.figures.of(KEY, self.object, "v2", runs=runs)

    async def told(self, *, runs: int) -> FiguresReading:
        """What a later pass is told."""
        await asyncio.gather(*looks())
        found = self.figures.of(KEY, self.object, "v2", runs=runs)
        assert found is not None
        return found


async def test_a_pass_never_waits_and_a_later_one_is_told(pool: Pool) -> None:
    await fill(pool, first=1, last=1000)
    one = Canary(pool)
    assert await one.look(runs=1000) is None
    found = await one.told(runs=1000)
    assert found.as_of == one.clock.now()
    assert found.win_rate == pytest.approx(0.72, abs=0.05)
    assert found.cost_delta == pytest.approx(0.01)
    assert found.runs_per_day == pytest.approx(24_000, rel=0.05)
    assert found.runs_still_needed is not None
    assert found.other_steps is None, "it is in time"


async def test_it_is_asked_again_after_minutes_or_when_the_runs_have_doubled(pool: Pool) -> None:
    await fill(pool, first=1, last=100)
    one = Canary(pool)
    await one.look(runs=100)
    first = await one.told(runs=100)

    async def asked_after(seconds: float, *, runs: int) -> bool:
        one.clock.advance(seconds)
        before = one.clock.now() - timedelta(seconds=seconds)
        one.figures.of(KEY, one.object, "v2", runs=runs)
        return (await one.told(runs=runs)).as_of > before

    assert first.as_of == one.clock.now()
    assert not await asked_after(EVERY_SECONDS - 1, runs=150)
    assert await asked_after(1, runs=150)
    assert not await asked_after(5, runs=300), "doubled, but a moment ago"
    assert await asked_after(5, runs=300)


async def test_what_is_known_stays_while_the_run_log_is_away(pool: Pool, server: Postgres) -> None:
    await fill(pool, first=1, last=400)
    one = Canary(pool, deadline_seconds=10)
    await one.look(runs=400)
    known = await one.told(runs=400)
    server.kill()
    one.clock.advance(EVERY_SECONDS)
    assert one.figures.of(KEY, one.object, "v2", runs=400) == known
    (look,) = looks()
    async with asyncio.timeout(60):
        await look
    assert one.figures.of(KEY, one.object, "v2", runs=400) == known


async def test_while_nothing_is_known_it_is_asked_again_soon(pool: Pool) -> None:
    await fill(pool, first=1, last=400)
    one = Canary(pool)
    assert one.figures.of(KEY, one.object, "v2", runs=400) is None
    assert (await one.told(runs=400)).runs_still_needed is None, "the evidence was not read yet"
    await one.look(runs=400)
    one.clock.advance(10)
    one.figures.of(KEY, one.object, "v2", runs=400)
    assert (await one.told(runs=400)).runs_still_needed is not None


async def test_a_canary_that_ended_is_forgotten_and_its_look_ended(pool: Pool) -> None:
    await fill(pool, first=1, last=400)
    one = Canary(pool)
    await one.look(runs=400)
    (look,) = looks()
    one.figures.keep_only(KEY, rollouts=set())
    await asyncio.wait([look])
    assert look.cancelled()
    assert one.figures.of(KEY, one.object, "v2", runs=400) is None

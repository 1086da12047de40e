"""What every `ports.figures.Figures` must do. A new adapter adds itself to `figures`."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.figures import PostgresFigures
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.domain.evidence.pairs import LOSS_BINS, BinSums
from learnops.domain.observed import Key
from learnops.domain.plan import OpenRollout, Tried
from learnops.ports.figures import Figures, FiguresUnavailableError
from testbed.ports import LOOPBACK, free_ports

KEY = Key(namespace="agents", doer="planner")
ATTEMPT = OpenRollout(
    rollout="uid.0",
    canary="planner-v2-1f3a",
    canary_uid="uid",
    control="planner-v1",
    candidates=(Tried(name="planner-v2", identity="v1:two", attempt=1),),
    percent=10,
    maturation_seconds=600,
    crl={},
)
OF_V2 = {"rollout": "uid.0", "candidate": "planner-v2"}

# One run each minute, the newest `newest` minutes ago.
REPORT = """
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, bundle, content_hash,
                  received_at)
SELECT 'agents', %(doer)s || n, %(doer)s, 'v1', 'control', 0, 1, '{}', '',
       now() - make_interval(mins => %(newest)s::int + n)
FROM generate_series(1, %(runs)s::int) n
"""

MANY = """
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, bundle, content_hash,
                  received_at)
SELECT 'agents', 'many-' || n, 'planner', 'v1', 'control', 0, 1, '{}', '',
       now() - make_interval(secs => 3 * n)
FROM generate_series(1, 20000) n
"""

# Number, arm, how it was resolved, loss, cost of what was reported.
RUNS = """
UPDATE shadow_deployments SET next_seq = 8 WHERE id = 'uid.0';
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, resolved_at, resolution, loss)
SELECT 'uid.0', seq, 'agents', 'planner', 'r' || seq, 'r' || seq, arm,
       CASE arm WHEN 'candidate' THEN 'planner-v2' ELSE 'planner-v1' END, 0.2, 2,
       CASE WHEN resolution IS NOT NULL THEN now() END, resolution, loss
FROM (VALUES (1, 'control', 'Bundle', 0.25), (2, 'candidate', 'Bundle', 0.5),
             (3, 'control', 'Bundle', 0.25), (4, 'control', 'Timeout', 1),
             (5, 'control', 'Void', NULL), (6, 'candidate', NULL, NULL),
             (7, 'candidate', 'Bundle', 0.75))
    AS i (seq, arm, resolution, loss);
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, cost_usd,
                  bundle, content_hash)
SELECT 'agents', 'r' || seq, 'planner', 'p', 'control', 0.2, 2, 'uid.0', cost, '{}', ''
FROM (VALUES (1, 0.5), (2, 0.25), (3, NULL), (4, 9.0)) AS i (seq, cost);
"""


@pytest.fixture(params=["postgres"])
async def figures(database: str) -> AsyncIterator[Figures]:
    """Each adapter, on a log with one open rollout."""
    pool = make_pool(database, application="test")
    await pool.open(wait=True, timeout=30)
    await PostgresRunLog(pool).open_rollout(key=KEY, rollout=ATTEMPT)
    yield PostgresFigures(pool)
    await pool.close()


def report(database: str, *, runs: int, newest: int = 0, doer: str = "planner") -> None:
    with psycopg.connect(database) as connection:
        connection.execute(REPORT, {"runs": runs, "newest": newest, "doer": doer})


async def test_a_doer_that_reported_nothing_has_no_volume(figures: Figures, database: str) -> None:
    report(database, runs=100, doer="coder")
    assert await figures.runs_per_day(key=KEY) is None


@pytest.mark.parametrize("runs", [9, 10])
async def test_a_few_runs_or_minutes_are_no_volume(
    figures: Figures, database: str, runs: int
) -> None:
    report(database, runs=runs)
    found = await figures.runs_per_day(key=KEY)
    assert (found is None) == (runs == 9)


async def test_a_young_doer_is_counted_from_its_first_run(figures: Figures, database: str) -> None:
    report(database, runs=600)
    assert await figures.runs_per_day(key=KEY) == pytest.approx(1440, rel=0.01)


async def test_an_old_doer_is_counted_over_seven_days(figures: Figures, database: str) -> None:
    report(database, runs=7 * 100)
    report(database, runs=1, newest=8 * 1440, doer="planner-old")
    assert await figures.runs_per_day(key=KEY) == pytest.approx(1440, rel=0.01)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE runs SET doer = 'planner' WHERE doer = 'planner-old'")
    assert await figures.runs_per_day(key=KEY) == pytest.approx(100, rel=0.01)


async def test_of_very_many_runs_the_newest_tell(figures: Figures, database: str) -> None:
    """20,000 runs, one every three seconds; what lies days before them is not asked for."""
    report(database, runs=100, newest=5 * 1440)
    with psycopg.connect(database) as connection:
        connection.execute(MANY)
    assert await figures.runs_per_day(key=KEY) == pytest.approx(28_800, rel=0.01)


async def test_pairs_are_sums_over_the_resolved_prefix(figures: Figures, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(RUNS)
    found = await figures.pairs(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=0, limit=100
    )
    assert (found.until, found.more) == (5, False)
    by_bin = {(it.is_candidate, it.bin): it for it in found.sums}
    assert set(by_bin) == {(True, 64), (False, 32), (False, LOSS_BINS - 1)}
    assert by_bin[True, 64] == BinSums(
        is_candidate=True,
        bin=64,
        runs=1,
        weight=5.0,
        loss=2.5,
        loss_squares=1.25,
        cost_runs=1,
        cost_weight=5.0,
        cost=1.25,
    )
    quarter = by_bin[False, 32]
    assert (quarter.runs, quarter.cost_runs) == (2, 1)
    assert quarter.weight == pytest.approx(2.5)
    assert quarter.cost == pytest.approx(0.625)
    assert by_bin[False, LOSS_BINS - 1].cost_runs == 0, "the bundle came after the timeout"


async def test_a_loss_whose_square_is_no_double_is_summed(figures: Figures, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(RUNS)
        connection.execute("UPDATE deployment_routings SET loss = 1e-200 WHERE seq = 2")
    found = await figures.pairs(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=0, limit=100
    )
    (mine,) = [it for it in found.sums if it.is_candidate]
    assert (mine.bin, mine.loss, mine.loss_squares) == (0, 5e-200, 0.0)


async def test_pairs_go_on_from_a_watermark(figures: Figures, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(RUNS)
    first = await figures.pairs(key=KEY, **OF_V2, after=0, limit=2)
    assert (first.until, first.more, sum(it.runs for it in first.sums)) == (2, True, 2)
    second = await figures.pairs(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=2, limit=100
    )
    assert (second.until, second.more, sum(it.runs for it in second.sums)) == (5, False, 2)
    nothing = await figures.pairs(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=5, limit=100
    )
    assert (nothing.until, nothing.more, list(nothing.sums)) == (5, False, [])


async def test_a_rollout_of_another_doer_is_refused(figures: Figures) -> None:
    other = Key(namespace="agents", doer="coder")
    with pytest.raises(FiguresUnavailableError, match="is not in the run log"):
        await figures.pairs(key=other, **OF_V2, after=0, limit=100)


async def test_a_database_that_is_away_is_unavailable() -> None:
    (port,) = free_ports(1)
    pool = make_pool(f"postgresql://nobody@{LOOPBACK}:{port}/none", application="test")
    await pool.open()
    try:
        with pytest.raises(FiguresUnavailableError):
            await PostgresFigures(pool, deadline_seconds=0.5).runs_per_day(key=KEY)
    finally:
        await pool.close()

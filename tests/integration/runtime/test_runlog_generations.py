"""Generations in the real run log: each is judged by its own runs, whoever reads, in any pieces."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.domain.observed import EvidenceReading
from learnops.domain.plan import OpenGeneration, OpenRollout, Tried
from learnops.domain.planner.numbers import crossed
from tests.unit.app.models import KEY, canary, doer

ROLLOUT = "c-uid.0"
_FILL = """
WITH added AS (
    INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                     propensity, revision, resolved_at, resolution, loss)
    SELECT d.id, d.next_seq + n, 'agents', 'planner', (d.next_seq + n)::text,
           (d.next_seq + n)::text,
           CASE WHEN (d.next_seq + n) %% 2 = 0 THEN 'candidate' ELSE 'control' END,
           CASE WHEN (d.next_seq + n) %% 2 = 0 THEN 'v2' ELSE 'v1' END, 0.5, 5,
           clock_timestamp(), 'Bundle',
           CASE WHEN (d.next_seq + n) %% 2 = 0 THEN %(candidate)s ELSE %(control)s END::float8
    FROM shadow_deployments d, generate_series(0, %(runs)s - 1) n
)
UPDATE shadow_deployments SET next_seq = next_seq + %(runs)s
"""


@pytest_asyncio.fixture
async def runlog(database: str) -> AsyncIterator[PostgresRunLog]:
    """A run log with one open rollout and no runs."""
    pool = make_pool(database, application="test", max_size=2)
    await pool.open()
    log = PostgresRunLog(pool)
    opened = OpenRollout(
        rollout=ROLLOUT,
        canary="c1",
        canary_uid="c-uid",
        control="v1",
        candidates=(Tried(name="v2", identity="i", attempt=1),),
        percent=50,
        maturation_seconds=600,
        crl={"weights": {"grounding": "1"}},
    )
    await log.open_rollout(key=KEY, rollout=opened)
    yield log
    await pool.close()


def fill(database: str, *, runs: int, control: float = 0.4, candidate: float = 0.4) -> None:
    """Resolved runs of both arms in turn."""
    with psycopg.connect(database) as connection:
        connection.execute(_FILL, {"runs": runs, "control": control, "candidate": candidate})


async def begin(runlog: PostgresRunLog, number: int) -> None:
    """The next generation."""
    crl = {"weights": {"grounding": "1", "contradictions": str(number)}}
    opened = OpenGeneration(rollout=ROLLOUT, number=number, crl=crl, candidates=("v2",))
    await runlog.open_generation(key=KEY, generation=opened)


async def read(evidence: RunLogEvidence, **analysis: Any) -> EvidenceReading:
    judged = canary(source="RunLog", **analysis)
    found = await evidence.read(key=KEY, doer=doer(percent=50), canary=judged, candidate="v2")
    assert isinstance(found.evidence, EvidenceReading), found.evidence
    return found.evidence


def set_open(database: str, *, seq: int) -> None:
    """A run is not resolved yet."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE deployment_routings SET resolved_at = NULL, resolution = NULL, loss = NULL"
            " WHERE seq = %s",
            (seq,),
        )


def resolve(database: str, *, seq: int, loss: float) -> None:
    """Its bundle comes."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE deployment_routings SET resolved_at = clock_timestamp(), resolution = 'Bundle',"
            " loss = %s WHERE seq = %s",
            (loss, seq),
        )


async def test_a_generation_is_the_log_from_its_first_run_on(
    runlog: PostgresRunLog, database: str
) -> None:
    going_on = RunLogEvidence(runlog=runlog)
    fill(database, runs=207, control=0.7, candidate=0.2)
    old = await read(going_on)
    assert crossed(old.promote)
    await begin(runlog, 2)
    empty = await read(going_on)
    assert (empty.promote.log_e, empty.rollback.log_e) == (0.0, 0.0)
    assert (empty.runs, empty.candidate_loss) == (0, None)
    assert empty.promote.threshold == pytest.approx(4 * old.promote.threshold)
    assert empty.generation is not None
    assert (empty.generation.number, empty.generation.attempt) == (2, 2)
    fill(database, runs=9, control=0.3, candidate=0.9)
    assert (await read(going_on)).runs == 0, "no block mixes two configurations"
    for more in (1, 13, 88):
        fill(database, runs=more, control=0.3, candidate=0.9)
        kept = await read(going_on)
        assert await read(RunLogEvidence(runlog=runlog)) == kept
        assert await read(RunLogEvidence(runlog=runlog, chunk_runs=10)) == kept
        assert await read(RunLogEvidence(runlog=runlog, chunk_runs=30)) == kept
    assert kept.runs == 110
    assert kept.candidate_loss == pytest.approx(0.9)
    assert kept.rollback.crossed_at is not None
    assert kept.rollback.crossed_at > 207
    assert (kept.rollback.crossed_at - 207) % 10 == 0


async def test_generations_without_a_run_between_them_each_cost_an_attempt(
    runlog: PostgresRunLog, database: str
) -> None:
    fill(database, runs=30)
    for number in (2, 3, 4):
        await begin(runlog, number)
    fill(database, runs=25)
    found = await read(RunLogEvidence(runlog=runlog, chunk_runs=10))
    assert found.generation is not None
    assert (found.generation.number, found.generation.attempt, found.runs) == (4, 4, 20)


async def test_old_runs_that_are_resolved_late_roll_back_and_promote_nothing(
    runlog: PostgresRunLog, database: str
) -> None:
    going_on = RunLogEvidence(runlog=runlog)
    fill(database, runs=100, control=0.1, candidate=0.9)
    set_open(database, seq=2)
    await begin(runlog, 2)
    fill(database, runs=40, control=0.9, candidate=0.1)
    waiting = await read(going_on)
    assert not crossed(waiting.rollback), "the prefix ends at the open run"
    assert waiting.runs == 0, "runs of the new weights wait for the older ones"
    resolve(database, seq=2, loss=0.9)
    for evidence in (going_on, RunLogEvidence(runlog=runlog)):
        found = await read(evidence)
        assert crossed(found.rollback)
        assert found.generation is not None
        assert found.generation.number == 1
        assert found.candidate_loss == pytest.approx(0.9)


async def test_old_runs_that_are_resolved_late_promote_nothing(
    runlog: PostgresRunLog, database: str
) -> None:
    fill(database, runs=200, control=0.9, candidate=0.1)
    set_open(database, seq=2)
    await begin(runlog, 2)
    resolve(database, seq=2, loss=0.1)
    found = await read(RunLogEvidence(runlog=runlog))
    assert (found.promote.log_e, found.runs) == (0.0, 0)


async def test_the_split_and_timeouts_are_facts_of_the_whole_rollout(
    runlog: PostgresRunLog, database: str
) -> None:
    fill(database, runs=37)
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE deployment_routings SET resolution = 'Timeout', loss = 1 WHERE seq IN (1, 35)"
        )
    await begin(runlog, 2)
    fill(database, runs=26)
    found = await read(RunLogEvidence(runlog=runlog))
    assert found.control_timeout_fraction == 2 / 32  # 19 and 13 of control
    assert found.sample_ratio is not None
    assert found.sample_ratio.observed_share == pytest.approx(31 / 63)


async def test_one_look_waits_for_its_number_of_runs_again(
    runlog: PostgresRunLog, database: str
) -> None:
    judged = canary(source="RunLog", steps=(50,), method="FixedHorizon", maxRuns=60)
    going_on = RunLogEvidence(runlog=runlog)
    fill(database, runs=59, control=0.9, candidate=0.1)
    await begin(runlog, 2)
    fill(database, runs=58, control=0.1, candidate=0.9)
    found = await going_on.read(key=KEY, doer=doer(percent=50), canary=judged, candidate="v2")
    assert isinstance(found.evidence, EvidenceReading), found.evidence
    assert not crossed(found.evidence.rollback)
    fill(database, runs=2, control=0.2, candidate=0.8)
    found = await going_on.read(key=KEY, doer=doer(percent=50), canary=judged, candidate="v2")
    assert isinstance(found.evidence, EvidenceReading), found.evidence
    assert crossed(found.evidence.rollback)


async def test_a_restored_older_database_is_read_again_from_its_beginning(
    runlog: PostgresRunLog, database: str
) -> None:
    going_on = RunLogEvidence(runlog=runlog)
    fill(database, runs=40)
    before = await read(going_on)
    await begin(runlog, 2)
    fill(database, runs=20)
    assert (await read(going_on)).runs == 20
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM rollout_generations")
        connection.execute("DELETE FROM deployment_routings WHERE seq > 40")
        connection.execute("UPDATE shadow_deployments SET next_seq = 41")
    assert await read(going_on) == before

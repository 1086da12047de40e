"""A run log that is restored to an older state while an operator keeps what it had read of it."""

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.app.evidence.shadow import PairEvidence
from learnops.domain.observed import Evidence, EvidenceReading, ShadowReading
from learnops.domain.plan import OpenRollout, Tried
from learnops.domain.unavailable import ErrorReason, Unavailable
from testbed.postgres import Postgres
from testbed.stack import Stack
from tests.databases import migrated_database
from tests.unit.app.models import KEY, canary, doer

ROLLOUT = "c-uid.0"
_RUNS = """
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, resolved_at, resolution, loss)
SELECT %(rollout)s, n, 'agents', 'planner', %(name)s || n, %(name)s || n,
       CASE WHEN n %% 2 = 0 THEN 'candidate' ELSE 'control' END,
       CASE WHEN n %% 2 = 0 THEN 'v2' ELSE 'v1' END,
       0.5, 5, clock_timestamp(), 'Bundle',
       CASE WHEN n %% 2 = 0 THEN %(candidate)s::float8 ELSE %(control)s::float8 END
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
_PAIRS = """
INSERT INTO shadow_pairs (rollout, seq, namespace, doer, run_id, reported_loss, content_hash,
                          resolved_at, candidate_loss, control_loss)
SELECT %(rollout)s, n, 'agents', 'planner', %(name)s || n, %(candidate)s, '',
       clock_timestamp(), %(candidate)s, %(control)s
FROM generate_series(%(first)s::int, %(last)s::int) n
"""
OPENED = OpenRollout(
    rollout=ROLLOUT,
    canary="c1",
    canary_uid="c-uid",
    control="v1",
    candidates=(Tried(name="v2", identity="i", attempt=1),),
    percent=50,
    maturation_seconds=600,
    crl={},
)


class Log:
    """A database, and the backups that are made of it."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.url = migrated_database(server)
        self._last = 0

    def add(self, runs: int, *, control: float, candidate: float, name: str = "r") -> None:
        """Resolved runs of the rollout, numbered on; and a pair of each number."""
        first, self._last = self._last + 1, self._last + runs
        values = {
            "rollout": ROLLOUT,
            "name": name,
            "first": first,
            "last": self._last,
            "control": control,
            "candidate": candidate,
        }
        with psycopg.connect(self.url) as connection:
            connection.execute(_RUNS, values)
            connection.execute(_PAIRS, values)
            connection.execute(
                "UPDATE shadow_deployments SET next_seq = %(next)s, next_pair = %(next)s",
                {"next": self._last + 1},
            )

    def backup(self) -> str:
        """A copy as it is now."""
        made = self.server.create_database("backup")
        self._copy(of=self.url, to=made)
        return made

    def restore(self, backup: str, *, last: int) -> None:
        """Make the database what it was; `last` is its newest number."""
        self._copy(of=backup, to=self.url)
        self._last = last

    def _copy(self, *, of: str, to: str) -> None:
        old, new = (sql.Identifier(url.rsplit("/", 1)[1]) for url in (of, to))
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            # A database that is copied must have no sessions; the pool connects again by itself.
            connection.execute(_CUT, (of.rsplit("/", 1)[1],))
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(new))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(new, old))


@pytest.fixture
def log(stack: Stack) -> Log:
    """With a rollout, once the port opened it."""
    return Log(stack.postgres)


@pytest_asyncio.fixture
async def runlog(log: Log) -> AsyncIterator[PostgresRunLog]:
    """The operator's port, whose connections a restore cuts."""
    pool = make_pool(log.url, application="test", max_size=2)
    await pool.open()
    port = PostgresRunLog(pool)
    await port.open_rollout(key=KEY, rollout=OPENED)
    yield port
    await pool.close()


async def read(evidence: RunLogEvidence) -> Evidence:
    found = await evidence.read(
        key=KEY,
        doer=doer(percent=50),
        canary=canary(source="RunLog", steps=(50,)),
        candidate="v2",
    )
    return found.evidence


def crossed(evidence: Evidence) -> bool:
    assert isinstance(evidence, EvidenceReading), evidence
    return evidence.promote.crossed_at is not None


async def test_numbers_that_belong_to_other_runs_now_are_no_evidence_for_those_that_are_gone(
    log: Log, runlog: PostgresRunLog
) -> None:
    log.add(20, control=0.5, candidate=0.5)
    backup = log.backup()
    going_on = RunLogEvidence(runlog=runlog)
    log.add(400, control=0.9, candidate=0.1)
    assert crossed(await read(going_on))
    log.restore(backup, last=20)
    # As many numbers as before and more, all of them handed out again: nothing looks shorter.
    log.add(600, control=0.1, candidate=0.9, name="other-")
    found = await read(going_on)
    assert isinstance(found, Unavailable)
    assert found.reason is ErrorReason.RUN_LOG_RESTORED
    assert "an older database was restored" in found.message
    again = await read(going_on)
    assert not crossed(again)
    assert again == await read(RunLogEvidence(runlog=runlog))


async def test_a_log_that_is_shorter_than_what_was_read_is_read_again(
    log: Log, runlog: PostgresRunLog
) -> None:
    log.add(20, control=0.5, candidate=0.5)
    backup = log.backup()
    going_on = RunLogEvidence(runlog=runlog)
    log.add(400, control=0.9, candidate=0.1)
    assert crossed(await read(going_on))
    log.restore(backup, last=20)
    found = await read(going_on)
    assert isinstance(found, Unavailable)
    assert found.reason is ErrorReason.RUN_LOG_RESTORED
    assert not crossed(await read(going_on))


async def test_a_backup_that_has_all_that_was_read_loses_nothing(
    log: Log, runlog: PostgresRunLog
) -> None:
    going_on = RunLogEvidence(runlog=runlog)
    log.add(400, control=0.9, candidate=0.1)
    before = await read(going_on)
    assert crossed(before)
    backup = log.backup()
    log.add(50, control=0.9, candidate=0.1)
    log.restore(backup, last=400)
    assert await _after_reconnecting(going_on) == before
    log.add(50, control=0.9, candidate=0.1, name="other-")
    assert crossed(await read(going_on))


async def test_a_resolution_that_is_gone_is_told_though_every_number_is_there(
    log: Log, runlog: PostgresRunLog
) -> None:
    """Registered before the backup, resolved after it: the same runs, other losses."""
    log.add(20, control=0.5, candidate=0.5)
    log.add(380, control=0.9, candidate=0.1)
    with psycopg.connect(log.url) as connection:
        connection.execute(
            "UPDATE deployment_routings SET resolved_at = NULL, resolution = NULL, loss = NULL"
            " WHERE seq > 20"
        )
    backup = log.backup()
    with psycopg.connect(log.url) as connection:
        connection.execute(_RESOLVE, {"arm": "candidate"})
    going_on = RunLogEvidence(runlog=runlog)
    assert crossed(await read(going_on))
    log.restore(backup, last=400)
    with psycopg.connect(log.url) as connection:
        connection.execute(_RESOLVE, {"arm": "control"})
    found = await _after_reconnecting(going_on)
    assert isinstance(found, Unavailable)
    assert found.reason is ErrorReason.RUN_LOG_RESTORED
    assert not crossed(await read(going_on))


_RESOLVE = """
UPDATE deployment_routings SET resolved_at = clock_timestamp(), resolution = 'Bundle',
    loss = CASE WHEN arm = %(arm)s THEN 0.1 ELSE 0.9 END
WHERE resolved_at IS NULL
"""


async def test_a_rollout_that_is_not_there_any_more_is_opened_again_and_counts_anew(
    log: Log, runlog: PostgresRunLog
) -> None:
    with psycopg.connect(log.url) as connection:
        connection.execute("DELETE FROM rollout_prefixes")
        connection.execute("DELETE FROM rollout_candidates")
        connection.execute("DELETE FROM shadow_deployments")
    backup = log.backup()
    await runlog.open_rollout(key=KEY, rollout=OPENED)
    going_on = RunLogEvidence(runlog=runlog)
    log.add(400, control=0.9, candidate=0.1)
    assert crossed(await read(going_on))
    log.restore(backup, last=0)
    found = await _after_reconnecting(going_on)
    assert isinstance(found, Unavailable)
    assert found.reason is ErrorReason.RUN_LOG_RESTORED
    await runlog.open_rollout(key=KEY, rollout=OPENED)
    log.add(400, control=0.1, candidate=0.9, name="other-")
    assert not crossed(await read(going_on))


async def test_pairs_of_a_shadow_stage_that_are_gone_are_no_evidence(
    log: Log, runlog: PostgresRunLog
) -> None:
    shadowed = canary(source="RunLog", steps=(50,))
    log.add(20, control=0.5, candidate=0.5)
    backup = log.backup()
    going_on = PairEvidence(pairs=runlog)
    log.add(400, control=0.5, candidate=0.5)
    found = (await going_on.read(key=KEY, canary=shadowed)).evidence
    assert isinstance(found, ShadowReading)
    assert found.pairs == 420
    log.restore(backup, last=20)
    log.add(600, control=0.1, candidate=0.9, name="other-")
    gone = (await going_on.read(key=KEY, canary=shadowed)).evidence
    assert isinstance(gone, Unavailable)
    assert gone.reason is ErrorReason.RUN_LOG_RESTORED
    found = (await going_on.read(key=KEY, canary=shadowed)).evidence
    assert isinstance(found, ShadowReading)
    assert found.pairs == 620
    assert found.harm.crossed_at is not None


async def test_two_readers_do_not_take_each_other_for_a_restore(
    log: Log, runlog: PostgresRunLog
) -> None:
    """A replaced operator may still read once."""
    old, new = RunLogEvidence(runlog=runlog), RunLogEvidence(runlog=runlog)
    for times in range(1, 4):
        log.add(40, control=0.5, candidate=0.5)
        seen = await read(old)
        assert isinstance(seen, EvidenceReading)
        assert (seen.runs, await read(new)) == (40 * times, seen)


async def test_what_was_not_read_anew_is_not_written(log: Log, runlog: PostgresRunLog) -> None:
    log.add(40, control=0.5, candidate=0.5)
    evidence = RunLogEvidence(runlog=runlog)
    await read(evidence)
    written = _marks(log)
    await read(evidence)
    assert _marks(log) == written
    log.add(1, control=0.5, candidate=0.5)
    await read(evidence)
    assert _marks(log) != written


def _marks(log: Log) -> list[tuple[object, ...]]:
    with psycopg.connect(log.url) as connection:
        return connection.execute("SELECT upto, xmin::text FROM rollout_readings").fetchall()


async def _after_reconnecting(evidence: RunLogEvidence) -> Evidence:
    """The pool finds out that its connections were cut; one read may be the price of it."""
    found = await read(evidence)
    if isinstance(found, Unavailable) and found.reason is ErrorReason.RUN_LOG_UNAVAILABLE:
        return await read(evidence)
    return found

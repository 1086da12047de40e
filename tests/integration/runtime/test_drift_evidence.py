"""The watch from the real run log: the same in whatever pieces it is read, and never guessed."""

from collections.abc import AsyncIterator

import psycopg
import pytest_asyncio

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.api.doer import Doer
from learnops.api.learning import DriftStatus
from learnops.app.evidence.drift import DriftEvidence
from learnops.domain.evidence.drift import DriftState, advance
from learnops.domain.observed import DriftReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.unit.app.models import KEY, doer

# Losses that cycle through 0 to 0.49, and through 0.5 to 0.99 from run 1,501 on; `%%` is a modulo.
_FILL = """
INSERT INTO drift_runs (namespace, doer, watch, seq, run_id, loss)
SELECT w.namespace, w.doer, w.watch, n, n::text,
       (n * 7919 %% 50) / 100.0 + CASE WHEN n > 1500 THEN 0.5 ELSE 0 END
FROM generate_series(%(first)s::int, %(last)s::int) n, drift_watches w
"""


def fill(database: str, *, first: int, last: int) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(_FILL, {"first": first, "last": last})


def alarmed(database: str) -> bool | None:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT alarmed FROM drift_watches").fetchone()
    return None if row is None else row[0]


def by_hand(runs: int) -> DriftState:
    losses = [(n * 7919 % 50) / 100 + (0.5 if n > 1500 else 0) for n in range(1, runs + 1)]
    return advance(DriftState(), losses, threshold=100_000)


def promoted(*, revision: int = 7, policy: str = "v2") -> Doer:
    """A doer whose active policy is watched."""
    drift = DriftStatus(policy=policy, since_revision=revision, crl_digest="v1:abc")
    found = doer()
    return found.model_copy(update={"status": found.status.model_copy(update={"drift": drift})})


@pytest_asyncio.fixture
async def runlog(database: str) -> AsyncIterator[PostgresRunLog]:
    """A run log without runs."""
    pool = make_pool(database, application="test", max_size=2)
    await pool.open()
    yield PostgresRunLog(pool)
    await pool.close()


async def test_in_pieces_or_at_once_or_after_a_restart_it_is_the_same(
    runlog: PostgresRunLog, database: str
) -> None:
    last = 0
    for upto, chunk in ((0, 10), (3, 10), (999, 10), (1000, 10_000), (1493, 7), (1800, 10_000)):
        if upto > last:
            fill(database, first=last + 1, last=upto)
        last = upto
        # As after a restart: nothing is kept but what is in the run log.
        evidence = DriftEvidence(runlog=runlog, chunk_runs=chunk)
        expected = by_hand(upto)
        assert await evidence.read(key=KEY, doer=promoted()) == DriftReading(
            runs=expected.runs, baseline=expected.baseline, alarm_at_run=expected.alarm_at
        )
    assert expected.alarm_at is not None
    assert 1500 < expected.alarm_at < 1600


async def test_the_alarm_is_on_record_and_ends_the_watch(
    runlog: PostgresRunLog, database: str
) -> None:
    evidence = DriftEvidence(runlog=runlog)
    await evidence.read(key=KEY, doer=promoted())
    fill(database, first=1, last=1400)
    await evidence.read(key=KEY, doer=promoted())
    assert alarmed(database) is False
    fill(database, first=1401, last=1800)
    found = await evidence.read(key=KEY, doer=promoted())
    assert isinstance(found, DriftReading)
    assert found.alarm_at_run == by_hand(1800).alarm_at
    assert alarmed(database) is True
    # As after a restart before the status was written; what came since is not judged.
    fill(database, first=1900, last=1910)
    assert await DriftEvidence(runlog=runlog).read(key=KEY, doer=promoted()) == found


async def test_a_gap_or_a_state_of_another_version_is_an_error_with_a_name(
    runlog: PostgresRunLog, database: str
) -> None:
    evidence = DriftEvidence(runlog=runlog)
    await evidence.read(key=KEY, doer=promoted())
    fill(database, first=1, last=10)
    await evidence.read(key=KEY, doer=promoted())
    fill(database, first=12, last=20)
    gap = await evidence.read(key=KEY, doer=promoted())
    assert isinstance(gap, Unavailable)
    assert gap.reason is ErrorReason.RUN_LOG_INVALID
    assert "must go on with run 11" in gap.message
    fill(database, first=11, last=11)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE drift_watches SET state = replace(state, 'n\": 1', 'n\": 2')")
    found = await evidence.read(key=KEY, doer=promoted())
    assert isinstance(found, Unavailable)
    assert "StateVersion" in found.message


async def test_a_replaced_operator_learns_that_it_watches_an_older_promotion(
    runlog: PostgresRunLog,
) -> None:
    evidence = DriftEvidence(runlog=runlog)
    assert await evidence.read(key=KEY, doer=promoted(revision=9)) == DriftReading(runs=0)
    found = await evidence.read(key=KEY, doer=promoted(revision=7, policy="v1"))
    assert isinstance(found, Unavailable)
    assert "newer promotion" in found.message

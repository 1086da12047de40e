"""Evidence from the real run log: the same however often, in whatever pieces, by whomever read."""

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.app.evidence.runlog import RunLogEvidence
from learnops.domain.observed import EvidenceReading
from learnops.domain.plan import OpenRollout, Tried
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.unit.app.models import KEY, canary, doer

ROLLOUT = "c-uid.0"
# Runs by number: every tenth is the candidate's, losses cycle; `%%` is a modulo.
_FILL = """
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, resolved_at, resolution, loss)
SELECT %(rollout)s, n, 'agents', 'planner', n::text, n::text,
       CASE WHEN n %% 10 = 3 THEN 'candidate' ELSE 'control' END,
       CASE WHEN n %% 10 = 3 THEN 'v2' ELSE 'v1' END,
       0.1, 5, clock_timestamp(),
       CASE WHEN n %% 10 = 5 THEN 'Timeout' WHEN n %% 10 = 7 THEN 'Void' ELSE 'Bundle' END,
       CASE WHEN n %% 10 = 5 THEN 1 WHEN n %% 10 = 7 THEN NULL ELSE (n * 7919 %% 100) / 100.0 END
FROM generate_series(%(first)s::int, %(last)s::int) n
"""


def fill(database: str, *, first: int, last: int) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(_FILL, {"rollout": ROLLOUT, "first": first, "last": last})
        connection.execute(
            "UPDATE shadow_deployments SET next_seq = %s WHERE id = %s", (last + 1, ROLLOUT)
        )


def opened() -> OpenRollout:
    """The only rollout."""
    return OpenRollout(
        rollout=ROLLOUT,
        canary="c1",
        canary_uid="c-uid",
        control="v1",
        candidates=(Tried(name="v2", identity="i", attempt=1),),
        percent=10,
        maturation_seconds=600,
        crl={},
    )


@pytest_asyncio.fixture
async def runlog(database: str) -> AsyncIterator[PostgresRunLog]:
    """A run log with one open rollout and no runs."""
    pool = make_pool(database, application="test", max_size=2)
    await pool.open()
    log = PostgresRunLog(pool)
    await log.open_rollout(key=KEY, rollout=opened())
    yield log
    await pool.close()


async def read(evidence: RunLogEvidence) -> EvidenceReading:
    made = canary(source="RunLog")
    found = await evidence.read(key=KEY, doer=doer(), canary=made, candidate="v2")
    assert isinstance(found.evidence, EvidenceReading), found.evidence
    return found.evidence


async def test_in_pieces_or_at_once_or_after_a_restart_it_is_the_same(
    runlog: PostgresRunLog, database: str
) -> None:
    going_on = RunLogEvidence(runlog=runlog)
    last = 0
    for upto in (3, 57, 58, 430, 1234):
        fill(database, first=last + 1, last=upto)
        last = upto
        kept = await read(going_on)
        assert await read(RunLogEvidence(runlog=runlog)) == kept
        assert await read(RunLogEvidence(runlog=runlog, chunk_runs=20)) == kept
    assert kept.candidate_runs == 123
    assert kept.runs == 1230 - 123, "a block that is not full, and void runs, are no evidence"


async def test_control_s_timeouts_are_counted_over_the_whole_prefix(
    runlog: PostgresRunLog, database: str
) -> None:
    fill(database, first=1, last=96)
    found = await read(RunLogEvidence(runlog=runlog))
    # Of 96 runs 10 are the candidate's (3, 13, …, 93) and 9 are void; 10 timed out.
    assert found.control_timeout_fraction == 10 / (96 - 10 - 9)
    assert found.prefix_current


async def test_the_next_timeout_is_known_and_an_open_run_stops_the_prefix(
    runlog: PostgresRunLog, database: str
) -> None:
    fill(database, first=1, last=40)
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE deployment_routings SET resolved_at = NULL, resolution = NULL, loss = NULL"
            " WHERE seq = 21"
        )
    found = await RunLogEvidence(runlog=runlog).read(
        key=KEY, doer=doer(), canary=canary(source="RunLog"), candidate="v2"
    )
    assert isinstance(found.evidence, EvidenceReading)
    assert found.evidence.candidate_runs == 2
    assert found.next_timeout_seconds is not None
    assert 500 < found.next_timeout_seconds <= 600


async def test_a_rollout_that_the_log_does_not_know_is_an_error_and_no_evidence(
    runlog: PostgresRunLog,
) -> None:
    other = canary(source="RunLog").model_copy(
        update={"status": canary().status.model_copy(update={"retries": 1})}
    )
    found = await RunLogEvidence(runlog=runlog).read(
        key=KEY, doer=doer(), canary=other, candidate="v2"
    )
    assert isinstance(found.evidence, Unavailable)
    assert found.evidence.reason is ErrorReason.RUN_LOG_RESTORED
    assert "not in the run log" in found.evidence.message


async def test_what_ended_is_forgotten(runlog: PostgresRunLog, database: str) -> None:
    fill(database, first=1, last=40)
    evidence = RunLogEvidence(runlog=runlog)
    await read(evidence)
    evidence.keep_only(KEY, rollouts={ROLLOUT})
    assert evidence._progress[KEY].keys() == {(ROLLOUT, "v2")}
    evidence.keep_only(KEY, rollouts=set())
    assert evidence._progress == {}


# Twenty sessions of two runs. The first tells security criticals in every fifth session and says
# nothing of them elsewhere; the second tells none, and in every tenth is never heard of.
_SESSIONS = """
UPDATE shadow_deployments SET unit = 'Session', next_seq = 21 WHERE id = %(rollout)s;
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, window_ends_at)
SELECT %(rollout)s, n, 'agents', 'planner', n || 'a', 's' || n,
       CASE WHEN n %% 2 = 0 THEN 'candidate' ELSE 'control' END,
       CASE WHEN n %% 2 = 0 THEN 'v2' ELSE 'v1' END, 0.5, 5, now()
FROM generate_series(1, 20) n;
INSERT INTO unit_runs (namespace, run_id, rollout, seq, registered_at, resolved_at, resolution,
                       loss)
SELECT 'agents', n || part, %(rollout)s, n, now() - interval '1 hour',
       CASE WHEN NOT silent THEN now() END, CASE WHEN NOT silent THEN 'Bundle' END,
       CASE WHEN NOT silent THEN 0.5 END
FROM generate_series(1, 20) n, (VALUES ('a'), ('b')) AS p (part),
     LATERAL (SELECT part = 'b' AND n %% 10 = 1 AS silent) s;
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, bundle,
                  content_hash)
SELECT namespace, run_id, 'planner', 'v1', 'control', 0.5, 5, rollout, '{}', '' FROM unit_runs;
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial, security_criticals)
SELECT namespace, run_id, 0.5, 0.5, false,
       CASE WHEN run_id LIKE '%%b' THEN 0 WHEN seq %% 5 = 0 THEN 0.75 END
FROM unit_runs;
"""


async def test_sessions_are_observations_with_parts_of_timeouts_and_breaches_of_their_worst_run(
    runlog: PostgresRunLog, database: str
) -> None:
    with psycopg.connect(database) as connection:
        for statement in _SESSIONS.split(";\n"):
            if statement.strip():
                connection.execute(statement, {"rollout": ROLLOUT})
    guardrail = {"term": "securityCriticals", "immediate": {"maxCount": 3}}
    guarded = canary(source="RunLog", guardrails=[guardrail])
    found = await RunLogEvidence(runlog=runlog).read(
        key=KEY, doer=doer(), canary=guarded, candidate="v2"
    )
    assert isinstance(found.evidence, EvidenceReading), found.evidence
    reading = found.evidence
    assert (reading.candidate_runs, reading.control_runs) == (10, 10)
    # Sessions 1 and 11, both of control, lost one run of two.
    assert reading.control_timeout_fraction == 0.1
    assert reading.control_loss == pytest.approx((8 * 0.5 + 2 * 0.75) / 10)
    # The candidate's sessions 10 and 20 reported some; where nothing was told, nothing is imputed.
    (told,) = reading.guardrails
    assert told.breaches == 2

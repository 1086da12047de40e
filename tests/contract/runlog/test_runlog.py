"""What every `ports.runlog.RunLog` must do. A new adapter adds itself to `runlog`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import psycopg
import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.api.policy import Stage
from learnops.domain.observed import Key, Promotion
from learnops.domain.plan import CloseRollout, OpenGeneration, OpenRollout, Tried
from learnops.ports.runlog import DriftRows, DriftWatch, RunLog, RunLogUnavailableError
from testbed.postgres import Postgres
from tests.databases import own_server

KEY = Key(namespace="agents", doer="planner")
OTHER = Key(namespace="agents", doer="coder")
MOVE = Promotion(
    transition_id="t-1",
    policy="planner-v1",
    digest="v1:abc",
    identity="v1:def",
    from_stage=None,
    to_stage=Stage.ACTIVE,
    by="operator",
    why="first policy of the doer",
)
REJECTED = Promotion(
    transition_id="t-2",
    policy="planner-v2",
    digest="v1:abd",
    identity="v1:deg",
    from_stage=Stage.CANARY,
    to_stage=Stage.REJECTED,
    by="operator",
    why="planner-v2 is worse in grounding",
    rollout="uid.0",
    reason="Worse",
    culprit="grounding",
)
ATTEMPT = OpenRollout(
    rollout="uid.0",
    canary="planner-v2-1f3a",
    canary_uid="uid",
    control="planner-v1",
    candidates=(Tried(name="planner-v2", identity="v1:two", attempt=1),),
    percent=5,
    maturation_seconds=600,
    crl={"weights": {"grounding": "1"}},
)

# Three runs: all terms reported, one not reported, and a bundle that came after the timeout.
REPORTED = """
UPDATE shadow_deployments SET next_seq = 4 WHERE id = 'uid.0';
INSERT INTO deployment_routings (rollout, seq, namespace, doer, run_id, unit_id, arm, policy,
                                 propensity, revision, resolved_at, resolution, loss)
SELECT 'uid.0', seq, 'agents', 'planner', 'r' || seq, 'r' || seq, 'control', 'planner-v1', 0.1, 2,
       now(), resolution, loss
FROM (VALUES (1, 'Bundle', 0.25), (2, 'Bundle', 0.5), (3, 'Timeout', 1))
    AS i (seq, resolution, loss);
INSERT INTO runs (namespace, run_id, doer, policy, arm, propensity, revision, rollout, bundle,
                  content_hash)
SELECT namespace, run_id, doer, policy, arm, propensity, revision, rollout, '{}', ''
FROM deployment_routings;
INSERT INTO crl_results (namespace, run_id, loss_value, loss, partial, security_criticals,
                         grounding)
VALUES ('agents', 'r1', 0.25, 0.25, false, 0.75, 0.125),
       ('agents', 'r2', 0.5, 0.5, true, NULL, 0.5),
       ('agents', 'r3', 0.1, 0.1, false, 0.0, 0.0);
"""


@pytest.fixture(params=["postgres"])
async def runlog(database: str) -> AsyncIterator[RunLog]:
    """Each adapter, empty."""
    pool = make_pool(database, application="test")
    await pool.open(wait=True, timeout=30)
    yield PostgresRunLog(pool)
    await pool.close()


async def test_history_is_in_the_order_of_writing_and_per_doer(runlog: RunLog) -> None:
    moves = [replace(MOVE, transition_id=f"t-{number}") for number in (3, 1, 2)]
    await runlog.record_promotions(key=KEY, rows=moves[:2])
    await runlog.record_promotions(key=KEY, rows=moves[2:])
    await runlog.record_promotions(key=OTHER, rows=[replace(MOVE, policy="coder-v1")])
    assert (await runlog.history(key=KEY)).promotions == tuple(moves)
    assert [move.policy for move in (await runlog.history(key=OTHER)).promotions] == ["coder-v1"]


async def test_a_transition_is_written_once(runlog: RunLog) -> None:
    await runlog.record_promotions(key=KEY, rows=[MOVE])
    second = replace(MOVE, transition_id="t-2", from_stage=Stage.ACTIVE, to_stage=Stage.ARCHIVED)
    await runlog.record_promotions(key=KEY, rows=[replace(MOVE, why="again"), second])
    assert (await runlog.history(key=KEY)).promotions == (MOVE, second)


async def test_why_a_candidate_was_rejected_is_kept_in_words_and_as_data(runlog: RunLog) -> None:
    await runlog.record_promotions(key=KEY, rows=[REJECTED])
    assert (await runlog.history(key=KEY)).promotions == (REJECTED,)


async def test_a_doer_without_history_has_an_empty_one(runlog: RunLog) -> None:
    assert (await runlog.history(key=KEY)).promotions == ()
    assert await runlog.attempts(key=KEY) == {}


def tried(identity: str) -> Tried:
    """A first attempt of some content."""
    return Tried(name=identity.replace(":", "-"), identity=identity, attempt=1)


async def test_attempts_count_each_rollout_of_an_identity_once(runlog: RunLog) -> None:
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    two, other = Tried(name="v2", identity="v1:two", attempt=2), tried("v1:x")
    for rollout, candidates in (("uid.1", (two,)), ("u3.0", (other,)), ("u4.0", (other, two))):
        opened = replace(ATTEMPT, rollout=rollout, candidates=candidates)
        await runlog.open_rollout(key=KEY, rollout=opened)
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="uid.0", outcome="Error"))
    assert await runlog.attempts(key=KEY) == {"v1:two": 3, "v1:x": 2}
    assert await runlog.attempts(key=OTHER) == {}


HEAVIER = {"weights": {"grounding": "1", "securityCriticals": "2"}}


def generation(number: int, **changes: str) -> OpenGeneration:
    """The generation of ATTEMPT with that number."""
    opened = OpenGeneration(rollout="uid.0", number=number, crl=HEAVIER, candidates=("planner-v2",))
    return replace(opened, **changes)


async def test_a_generation_begins_with_the_next_registration_and_once(
    runlog: RunLog, database: str
) -> None:
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    with psycopg.connect(database) as connection:
        connection.execute(REPORTED)
    await runlog.open_generation(key=KEY, generation=generation(2))
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE shadow_deployments SET next_seq = 8")
    await runlog.open_generation(key=KEY, generation=replace(generation(2), crl=ATTEMPT.crl))
    await runlog.open_generation(key=KEY, generation=replace(generation(3), crl=ATTEMPT.crl))
    rows = await runlog.resolved_prefix(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=3, limit=100, grace_seconds=60
    )
    told = [(it.number, it.first_seq, it.attempt, it.crl) for it in rows.generations]
    assert told == [(1, 1, 1, ATTEMPT.crl), (2, 4, 2, HEAVIER), (3, 8, 3, ATTEMPT.crl)]


@pytest.mark.every_postgres
async def test_each_generation_is_an_attempt_of_its_content(runlog: RunLog) -> None:
    for id_, identity in (("uid.0", "v1:two"), ("u3.0", "v1:x")):
        first = Tried(name="planner-v2", identity=identity, attempt=1)
        opened = replace(ATTEMPT, rollout=id_, candidates=(first,))
        await runlog.open_rollout(key=KEY, rollout=opened)
    await runlog.open_generation(key=KEY, generation=generation(2))
    await runlog.open_generation(key=KEY, generation=generation(3))
    assert await runlog.attempts(key=KEY) == {"v1:two": 3, "v1:x": 1}
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="uid.0", outcome="Aborted"))
    fourth = Tried(name="planner-v2", identity="v1:two", attempt=4)
    again = replace(ATTEMPT, rollout="uid.1", candidates=(fourth,))
    await runlog.open_rollout(key=KEY, rollout=again)
    await runlog.open_generation(key=KEY, generation=generation(2, rollout="uid.1"))
    rows = await runlog.resolved_prefix(
        key=KEY, rollout="uid.1", candidate="planner-v2", after=0, limit=100, grace_seconds=60
    )
    assert [it.attempt for it in rows.generations] == [4, 5]


@pytest.mark.parametrize(("key", "rollout"), [(OTHER, "uid.0"), (KEY, "never.0"), (KEY, "ended.0")])
async def test_no_generation_of_a_rollout_that_is_not_open(
    runlog: RunLog, key: Key, rollout: str
) -> None:
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    await runlog.open_rollout(key=KEY, rollout=replace(ATTEMPT, rollout="ended.0"))
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="ended.0", outcome="Error"))
    with pytest.raises(RunLogUnavailableError, match=f"rollout {rollout} of {key} is not open"):
        await runlog.open_generation(key=key, generation=generation(2, rollout=rollout))


async def test_the_first_outcome_stands_and_what_was_never_opened_is_not_made_by_closing_it(
    runlog: RunLog, database: str
) -> None:
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    for outcome in ("Promoted", "Aborted"):
        await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="uid.0", outcome=outcome))
    await runlog.close_rollout(key=KEY, rollout=CloseRollout(rollout="none.0", outcome="Error"))
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT id, outcome, ended_at IS NOT NULL FROM shadow_deployments"
        ).fetchall()
    assert rows == [("uid.0", "Promoted", True)]


async def test_an_empty_rollout_has_an_empty_prefix(runlog: RunLog) -> None:
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    rows = await runlog.resolved_prefix(
        key=KEY, rollout="uid.0", candidate="planner-v2", after=0, limit=100, grace_seconds=60
    )
    assert list(rows.seq) == []
    assert (rows.total, rows.overdue, rows.next_timeout_seconds) == (0, 0, None)


@pytest.mark.every_postgres
async def test_terms_come_as_reported_and_never_from_a_late_bundle(
    runlog: RunLog, database: str
) -> None:
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    with psycopg.connect(database) as connection:
        connection.execute(REPORTED)
    rows = await runlog.resolved_prefix(
        key=KEY,
        rollout="uid.0",
        candidate="planner-v2",
        after=0,
        limit=100,
        grace_seconds=60,
        terms=["securityCriticals", "grounding"],
    )
    assert list(rows.loss) == [0.25, 0.5, 1.0]
    assert rows.terms.keys() == {"securityCriticals", "grounding"}
    assert list(rows.terms["securityCriticals"]) == [0.75, None, None]
    assert list(rows.terms["grounding"]) == [0.125, 0.5, None]


@pytest.mark.parametrize("key", [KEY, OTHER])
async def test_a_rollout_that_is_not_the_doers_is_unavailable(runlog: RunLog, key: Key) -> None:
    name = "never.0" if key is KEY else "uid.0"
    await runlog.open_rollout(key=KEY, rollout=ATTEMPT)
    with pytest.raises(RunLogUnavailableError, match=f"rollout {name} of {key} is not in the run"):
        await runlog.resolved_prefix(
            key=key, rollout=name, candidate="planner-v2", after=0, limit=1, grace_seconds=0
        )


async def test_a_watch_keeps_its_latest_state_and_makes_room_for_a_newer_promotion(
    runlog: RunLog,
) -> None:
    watch = DriftWatch(id="uid.7.abc", policy="planner-v1", since_revision=7)
    empty = DriftRows(state=None, watermark=0, seq=[], loss=[])
    assert await runlog.drift_rows(key=KEY, watch=watch, limit=10) == empty
    for state, watermark in (("ten", 10), ("four", 4)):
        await runlog.save_drift(key=KEY, watch=watch, state=state, watermark=watermark)
    kept = await runlog.drift_rows(key=KEY, watch=watch, limit=10)
    assert kept == replace(empty, state="ten", watermark=10)
    assert await runlog.drift_rows(key=OTHER, watch=watch, limit=10) == empty

    await runlog.save_drift(key=KEY, watch=watch, state="last", watermark=12, alarmed=True)
    kept = await runlog.drift_rows(key=KEY, watch=watch, limit=10)
    assert kept == replace(empty, state="last", watermark=12)

    newer = DriftWatch(id="uid.9.abc", policy="planner-v2", since_revision=9)
    assert await runlog.drift_rows(key=KEY, watch=newer, limit=10) == empty
    assert await runlog.drift_rows(key=KEY, watch=watch, limit=10) is None


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that the test may stop."""
    with own_server() as server:
        yield server


async def test_a_database_that_is_away_is_unavailable_and_comes_back(
    own_postgres: Postgres,
) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    pool = make_pool(url, application="test")
    await pool.open(wait=True, timeout=30)
    log = PostgresRunLog(pool, deadline_seconds=4.0)
    try:
        await log.record_promotions(key=KEY, rows=[MOVE])
        own_postgres.kill()
        async with asyncio.timeout(30):
            with pytest.raises(RunLogUnavailableError):
                await log.history(key=KEY)
        own_postgres.start()
        async with asyncio.timeout(30):
            assert (await _history(log)) == (MOVE,)
    finally:
        await pool.close()


async def _history(log: RunLog) -> tuple[Promotion, ...]:
    while True:
        try:
            return (await log.history(key=KEY)).promotions
        except RunLogUnavailableError:
            await asyncio.sleep(0.1)  # the next look; the caller has the deadline

"""From every older schema with rows in it: all of them survive, and none is changed."""

import asyncio

import psycopg
import pytest

from learnops.adapters.postgres.connection import make_pool
from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.schema import HEAD, REVISIONS
from learnops.domain.evidence.drift import DriftState
from learnops.ports.runlog import LogRows
from tests.integration.postgres.conftest import KEY
from tests.integration.postgres.older import fill, migrate_to, rows_by_table

pytestmark = pytest.mark.every_postgres

# Moved to rollout_candidates by 0007.
_MOVED = {("rollout_generations", "attempt")}


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_rows_survive_as_they_were(database: str, revision: str) -> None:
    migrate_to(database, revision=revision)
    fill(database, revision=revision)
    before = rows_by_table(database)
    assert all(before.values()), "a table without rows shows nothing"
    assert upgrade(database) == HEAD
    after = rows_by_table(database)
    for table, rows in before.items():
        kept = [_columns_of(table, row) for row in rows]
        found = [{name: row[name] for name in kept[0]} for row in after[table]]
        assert sorted(found, key=str) == sorted(kept, key=str), table


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_evidence_is_the_same_to_the_last_bit(database: str, revision: str) -> None:
    migrate_to(database, revision=revision)
    fill(database, revision=revision)
    upgrade(database)
    rows = asyncio.run(_evidence(database))
    assert list(rows.seq) == [1, 2]
    assert [loss.hex() for loss in rows.loss] == [(0.1 + 0.2).hex(), (1.0).hex()]
    assert list(rows.terms["grounding"]) == [0.1 + 0.2, None]
    assert list(rows.propensity) == [0.1, 0.1]
    assert rows.generations[0].attempt == 3


@pytest.mark.parametrize(
    ("state", "alarmed"),
    [
        (DriftState(runs=1200, alarm_at=1200).to_json(), True),
        (DriftState(runs=1200).to_json(), False),
        (None, False),
    ],
)
def test_watches_that_raised_their_alarm_are_known(
    database: str, state: str | None, alarmed: bool
) -> None:
    migrate_to(database, revision="0011")
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO drift_watches (namespace, doer, watch, policy, since_revision, state)"
            " VALUES ('agents', 'planner', 'w', 'planner-v1', 7, %s)",
            (state,),
        )
    upgrade(database)
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT alarmed FROM drift_watches").fetchone()
    assert row == (alarmed,)


_CULPRITS = {
    "planner-v1": "",
    "planner-v2": "grounding",
    "planner-v3": "p95",
    "planner-v4": "securityCriticals",
    "planner-v5": "loss",
    "planner-v6": "loss",
    "planner-v7": "",
    "planner-v8": "",
}


@pytest.mark.parametrize("revision", ["0001", *REVISIONS[8:-1]])
def test_a_rejection_that_said_it_in_words_alone_has_its_culprit(
    database: str, revision: str
) -> None:
    migrate_to(database, revision=revision)
    fill(database, revision=revision)
    upgrade(database)
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT policy_id, culprit FROM policy_promotions").fetchall()
        day = connection.execute(
            "SELECT regressions, guardrail_hits FROM daily_figures('-infinity')"
        ).fetchall()
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            connection.execute("UPDATE policy_promotions SET culprit = 'x'")
    assert dict(found) == _CULPRITS
    # Of t7 no column says that it was futile: it counts, as before.
    assert day == [(6, 3)]


def _columns_of(table: str, row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if (table, name) not in _MOVED}


async def _evidence(database: str) -> LogRows:
    pool = make_pool(database, application="test")
    await pool.open()
    try:
        return await PostgresRunLog(pool).resolved_prefix(
            key=KEY,
            rollout="uid.0",
            candidate="planner-v2",
            after=0,
            limit=10,
            grace_seconds=60,
            terms=["grounding"],
        )
    finally:
        await pool.close()

"""Rows that cannot be stored are found out by halves, and everything else is stored once."""

from collections.abc import Sequence

import psycopg
import pytest

from learnops.adapters.postgres.connection import DatabaseUnavailableError
from learnops.adapters.postgres.runs import RunKey, RunRow
from learnops.api.crl import CRL
from learnops.domain.crl.configuration import yardsticks
from learnops.server.models import Bundle
from learnops.server.rows import row_of
from learnops.server.scoring import score_bundle
from learnops.server.storing import store_apart


class Table:
    """Refuses the transaction of whoever is with a row of these ids."""

    def __init__(self, *poison: str, error: Exception | None = None) -> None:
        self._poison = poison
        self._error = error or psycopg.errors.CheckViolation("no\nDETAIL: of ada@example.org")
        self.calls = 0
        self.held: list[RunKey] = []

    async def store(self, *, rows: Sequence[RunRow]) -> set[RunKey]:
        self.calls += 1
        if any(row.run_id in self._poison for row in rows):
            raise self._error
        new = {row.key for row in rows} - set(self.held)
        self.held += new
        return new


def row(run_id: str) -> RunRow:
    names = {"namespace": "agents", "doer": "planner", "runId": run_id, "policy": "planner-v1"}
    bundle = Bundle.model_validate(names)
    result = score_bundle(bundle, yardsticks(CRL()).of(None))
    return row_of(bundle, registration=None, result=result)


ROWS = [row(f"r-{number:03d}") for number in range(500)]


async def test_without_poison_there_is_one_transaction() -> None:
    table = Table()
    added, refused = await store_apart(ROWS, store=table.store)
    assert (len(added), refused, table.calls) == (500, set(), 1)


@pytest.mark.parametrize("poison", [("r-000",), ("r-499",), ("r-123", "r-124", "r-400")])
async def test_poison_is_refused_alone(
    poison: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    table = Table(*poison)
    added, refused = await store_apart(ROWS, store=table.store)
    assert refused == {("agents", run_id) for run_id in poison}
    assert added == {it.key for it in ROWS} - refused
    assert sorted(added) == sorted(table.held)
    assert table.calls < 20 * len(poison)
    told = [it.getMessage() for it in caplog.records]
    assert told == [
        f"bug in ingest: run agents/{run_id} cannot be stored: CheckViolation: no"
        for run_id in poison
    ]


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS])
async def test_where_nothing_can_be_stored_no_run_is_refused(rows: list[RunRow]) -> None:
    """As with sequences that were not restored: whoever sends them keeps them, and tries again."""
    table = Table(*(row.run_id for row in rows))
    with pytest.raises(psycopg.errors.CheckViolation):
        await store_apart(rows, store=table.store)


@pytest.mark.parametrize(
    "error", [DatabaseUnavailableError("away"), psycopg.errors.UndefinedTable("runs")]
)
async def test_what_is_no_fault_of_a_row_fails_them_all(error: Exception) -> None:
    table = Table("r-250", error=error)
    with pytest.raises(type(error)):
        await store_apart(ROWS, store=table.store)
    assert table.calls == 1

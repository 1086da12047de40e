"""The commands of docs/how-to/back-up-and-restore.md, with the tools of each major version."""

from pathlib import Path

import psycopg
import pytest

from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.schema import HEAD
from testbed.postgres import Postgres
from testbed.stack import Stack
from tests.integration.postgres.older import fill, rows_by_table

pytestmark = pytest.mark.every_postgres


@pytest.fixture
def kept(database: str) -> dict[str, list[dict[str, object]]]:
    """The rows of a database with something in its tables."""
    upgrade(database)
    fill(database, revision=HEAD)
    rows = rows_by_table(database)
    assert rows["crl_results"]
    assert rows["embeddings"]
    return rows


def test_a_backup_brings_back_what_was_lost_since(
    database_server: Postgres,
    database: str,
    kept: dict[str, list[dict[str, object]]],
    tmp_path: Path,
) -> None:
    backup = tmp_path / "learnops.dump"
    database_server.backup(database, to=backup)
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM embeddings")
        connection.execute("UPDATE deployment_routings SET loss = 0 WHERE loss IS NOT NULL")
    assert rows_by_table(database) != kept
    database_server.restore(database, of=backup)
    assert upgrade(database) == HEAD
    assert rows_by_table(database) == kept


def test_a_backup_moves_to_the_newest_version_with_every_digit(
    stack: Stack,
    database_server: Postgres,
    database: str,
    kept: dict[str, list[dict[str, object]]],
    tmp_path: Path,
) -> None:
    backup = tmp_path / "learnops.dump"
    database_server.backup(database, to=backup)
    moved = stack.postgres.create_database("moved")
    stack.postgres.restore(moved, of=backup)
    assert upgrade(moved) == HEAD
    assert rows_by_table(moved) == kept

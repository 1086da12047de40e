"""PostgreSQL of the testbed: one database per test, crash and recovery."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from testbed.postgres import Postgres
from testbed.stack import Stack
from testbed.waiting import wait_until
from testbed.workdir import WorkDir

_AWAITED = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'first'::regclass"


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that the test may kill."""
    with WorkDir() as work:
        server = Postgres(work).start()
        yield server
        server.stop()


def test_each_database_is_empty(stack: Stack, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE mine (a int)")
    with psycopg.connect(stack.postgres.create_database()) as other:
        row = other.execute("SELECT to_regclass('mine')").fetchone()
    assert row == (None,)


def test_what_was_committed_survives_a_kill(own_server: Postgres) -> None:
    url = own_server.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS a")
    own_server.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    own_server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT a FROM kept").fetchone() == (7,)


def test_of_a_restore_and_a_reader_that_wait_for_each_other_the_restore_goes_on(
    stack: Stack, tmp_path: Path
) -> None:
    server, copy = stack.postgres, tmp_path / "copy"
    url = server.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE first (); CREATE TABLE second ()")
    server.backup(url, to=copy)
    with (
        ThreadPoolExecutor(1) as threads,
        psycopg.connect(url, autocommit=True) as looking,
        psycopg.connect(url) as reader,
    ):
        reader.execute("SELECT FROM first")
        restoring = threads.submit(server.restore, url, of=copy)
        wait_until(
            lambda: looking.execute(_AWAITED).fetchone(),
            what="the restore to wait for the reader",
            deadline_seconds=30,
        )
        with pytest.raises(psycopg.errors.DeadlockDetected):
            reader.execute("SELECT FROM second")
        reader.rollback()
        restoring.result(timeout=60)


def test_it_stops_while_a_client_is_connected(own_server: Postgres) -> None:
    with psycopg.connect(own_server.url()) as connection:
        own_server.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")

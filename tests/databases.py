"""Databases with this version's schema, without a run of all migrations for each."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from learnops.adapters.postgres.migrate import upgrade
from testbed.postgres import Postgres
from testbed.workdir import WorkDir

_TEMPLATE = "migrated"
_EXISTS = "SELECT 1 FROM pg_database WHERE datname = %s"


@contextmanager
def own_server(*, major: int | None = None) -> Iterator[Postgres]:
    """A server of the caller's alone, who may stop it."""
    with WorkDir() as work:
        server = Postgres(work, major=major).start()
        try:
            yield server
        finally:
            server.stop()


def migrated_database(server: Postgres) -> str:
    """URL of a database of the caller's alone, as `learnops db upgrade` leaves an empty one.

    The first call on a server migrates one, the others copy that.
    """
    with psycopg.connect(server.url(), autocommit=True) as connection:
        if connection.execute(_EXISTS, (_TEMPLATE,)).fetchone() is None:
            _migrate_one(server, connection)
    return server.create_database(template=_TEMPLATE)


def _migrate_one(server: Postgres, connection: psycopg.Connection) -> None:
    """Under another name until it is whole: what ends in between leaves no template."""
    url = server.create_database("unfinished")
    upgrade(url)
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    old, new = sql.Identifier(url.rsplit("/", 1)[1]), sql.Identifier(_TEMPLATE)
    connection.execute(rename.format(old, new))


@pytest.fixture
def database(migrated: str) -> str:
    """For the conftest of a folder whose tests all need the schema: theirs have it."""
    return migrated

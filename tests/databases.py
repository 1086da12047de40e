"""Databases with this version's schema, without a run of all migrations for each."""

import psycopg
import pytest
from psycopg import sql

from learnops.adapters.postgres.migrate import upgrade
from testbed.postgres import Postgres

_TEMPLATE = "migrated"
_EXISTS = "SELECT 1 FROM pg_database WHERE datname = %s"


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

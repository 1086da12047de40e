"""`learnops db upgrade` as a role that may not: what is missing, and who can help."""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.schema import SchemaMismatchError

ROLE = "learnops_without_rights"


@pytest.fixture
def as_role(database: str) -> Iterator[str]:
    """The database's URL as a role that owns nothing in it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        parts = urlsplit(database)
        yield urlunsplit(parts._replace(netloc=f"{ROLE}@{parts.netloc.rpartition('@')[2]}"))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(ROLE)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


def test_a_role_that_may_create_nothing(as_role: str) -> None:
    with pytest.raises(SchemaMismatchError, match="schema public: let the role of LEARNOPS_DATAB"):
        upgrade(as_role)


def test_a_role_that_may_create_no_extension(database: str, as_role: str) -> None:
    """The upgrade is one transaction: nothing of it stays."""
    with psycopg.connect(database) as connection:
        connection.execute(
            sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(ROLE))
        )
    with pytest.raises(SchemaMismatchError, match="administrator run CREATE EXTENSION vector"):
        upgrade(as_role)
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    assert found == (None,)

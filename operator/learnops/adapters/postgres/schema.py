"""Which schema this version knows; checked at start, without Alembic, by operator and api."""

from typing import Any, Final

import psycopg

# Oldest first; the last is what this version reads and writes. One per file of migrations/versions.
REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
)
HEAD: Final = REVISIONS[-1]


class SchemaMismatchError(Exception):
    """The database's schema is not this version's; the message says what to do."""


class ReadOnlyError(Exception):
    """The database takes no writes; the message says what to do."""


async def refuse_read_only(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raise ReadOnlyError on a standby, and wherever else nothing can be written.

    The connection is closed then: the next one may lead to the primary.
    """
    cursor = await connection.execute("SELECT current_setting('transaction_read_only')::bool")
    row = await cursor.fetchone()
    if row is not None and row[0]:
        await connection.close()
        raise ReadOnlyError(
            "the database takes no writes, as a standby does: point LEARNOPS_DATABASE_URL at the "
            "primary; with several hosts in it, add target_session_attrs=read-write"
        )


async def check_schema(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raise SchemaMismatchError unless the schema is exactly the one this version knows."""
    refuse_unless_head(await read_revision(connection))


async def read_revision(connection: psycopg.AsyncConnection[Any]) -> str | None:
    """The schema's revision, None for a database without one."""
    cursor = await connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return None
    cursor = await connection.execute("SELECT version_num FROM alembic_version")
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


def refuse_unless_head(revision: str | None) -> None:
    """Raise SchemaMismatchError for an empty, an older or a newer schema."""
    if revision == HEAD:
        return
    refuse_newer(revision)
    found = "has no learnops schema" if revision is None else f"has schema {revision}"
    raise SchemaMismatchError(
        f"the database {found}, this version needs {HEAD}: run `learnops db upgrade`"
    )


def refuse_newer(revision: str | None) -> None:
    """Raise SchemaMismatchError for a revision that this version has never heard of."""
    if revision is not None and revision not in REVISIONS:
        raise SchemaMismatchError(
            f"the database has schema {revision}, which is newer than this version of learnops "
            f"knows (up to {HEAD}): install the newer learnops, or restore the older database"
        )

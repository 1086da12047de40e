"""Bring a database to this version's schema (`learnops db upgrade`)."""

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import DBAPIError

from learnops.adapters.postgres.schema import HEAD, SchemaMismatchError, refuse_newer

# Any constant does; it only has to be the same in every process that migrates.
_MIGRATION_LOCK = 5_317_009_024
_LOCATION = "learnops.adapters.postgres:migrations"


def upgrade(url: str) -> str:
    """Apply what is missing, in one transaction; returns the revision that is there now.

    Two at once are safe: the second waits, then finds nothing to do.

    Raises:
        SchemaMismatchError: the database is newer than this version, has no pgvector, or lets its
            role create nothing.
        psycopg.OperationalError: no database there.
    """
    try:
        return _upgrade(url)
    except DBAPIError as error:  # the driver's own, which has the reason in a line
        raise error.orig or error from None


def _upgrade(url: str) -> str:
    # psycopg reads the URL itself: SQLAlchemy knows fewer of its forms.
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=pool.NullPool
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        refuse_newer(_revision(connection))
        config = Config()
        config.set_main_option("script_location", _LOCATION)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, HEAD)
        except psycopg.errors.FeatureNotSupported as error:
            raise SchemaMismatchError(_first_line(error)) from error
        except (psycopg.errors.InsufficientPrivilege, DBAPIError) as error:
            raise _refused(error) from error
    return HEAD


def _refused(error: Exception) -> Exception:
    """A right that the role lacks, with the way out; anything else as it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return error
    told = _first_line(cause)
    if "extension" in told:
        way = "let an administrator run CREATE EXTENSION vector in this database, once"
    else:
        way = "let the role of LEARNOPS_DATABASE_URL own the database, or create in its schema"
    return SchemaMismatchError(f"{told}: {way}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _revision(connection: Connection) -> str | None:
    exists = connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    if not exists.scalar():
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

"""Bring a database to this version's schema (`learnops db upgrade`)."""

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, pool, text

from learnops.adapters.postgres.schema import HEAD, SchemaMismatchError, refuse_newer

# Any constant does; it only has to be the same in every process that migrates.
_MIGRATION_LOCK = 5_317_009_024
_LOCATION = "learnops.adapters.postgres:migrations"


def upgrade(url: str) -> str:
    """Apply what is missing, in one transaction; returns the revision that is there now.

    Two at once are safe: the second waits, then finds nothing to do.

    Raises:
        SchemaMismatchError: the database is newer than this version, or has no pgvector.
        psycopg.OperationalError: no database there.
    """
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
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.InsufficientPrivilege) as error:
            raise SchemaMismatchError(str(error).partition("\n")[0]) from error
    return HEAD


def _revision(connection: Connection) -> str | None:
    exists = connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    if not exists.scalar():
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

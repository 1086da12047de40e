"""`learnops db`: the schema of the run log, what expires in it, and who is erased from it."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from learnops.cli import erasure, retention

if TYPE_CHECKING:
    from learnops.adapters.postgres.connection import Pool

URL_VARIABLE = "LEARNOPS_DATABASE_URL"


def add_parser(subparsers: Any) -> None:
    """Add `db upgrade`, `db retention` and `db erase-tenant`."""
    parser = subparsers.add_parser("db", help="the run log: schema, retention, erasure")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    upgrade = commands.add_parser(
        "upgrade", help=f"bring the database of {URL_VARIABLE} to this version's schema"
    )
    upgrade.set_defaults(run=run)
    retention.add_parser(commands)
    erasure.add_parser(commands)


def run(_arguments: argparse.Namespace) -> int:
    """Upgrade; the exit code."""
    url = url_of(os.environ)
    if url is None:
        return 2
    return report(lambda: _upgrade(url))


def _upgrade(url: str) -> int:
    # Heavy imports only now: `learnops --help` must be quick.
    from learnops.adapters.postgres.migrate import upgrade

    print(f"the schema is at {upgrade(url)}")
    return 0


def url_of(environment: Mapping[str, str]) -> str | None:
    """The URL of Postgres; None, and a line on standard error, where there is none."""
    url = environment.get(URL_VARIABLE)
    if not url:
        print(f"learnops db: set {URL_VARIABLE} to the URL of Postgres", file=sys.stderr)
        return None
    return url


def report(work: Callable[[], int]) -> int:
    """The exit code of work on the database; 1, and a line on standard error, where it failed."""
    import psycopg

    from learnops.adapters.postgres.connection import DatabaseUnavailableError
    from learnops.adapters.postgres.schema import SchemaMismatchError

    try:
        return work()
    except SchemaMismatchError as error:
        print(f"learnops db: refused: {error}", file=sys.stderr)
    except (psycopg.OperationalError, DatabaseUnavailableError) as error:
        print(f"learnops db: no database there: {str(error).strip()}", file=sys.stderr)
    return 1


@asynccontextmanager
async def opened(url: str) -> "AsyncIterator[Pool]":
    """A pool of one connection on this version's schema.

    Raises DatabaseUnavailableError, SchemaMismatchError.
    """
    from learnops.adapters.postgres.connection import make_pool, transaction
    from learnops.adapters.postgres.schema import check_schema

    pool = make_pool(url, application="learnops-db", max_size=1)
    await pool.open()
    try:
        async with transaction(pool) as connection:
            await check_schema(connection)
        yield pool
    finally:
        await pool.close()

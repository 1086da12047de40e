"""The run log as `learnops db` has it: one connection, and a line where there is none."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learnops.adapters.postgres.connection import Pool


def report(work: Callable[[], int]) -> int:
    """The exit code of work on the database; 1, and a line on standard error, where it failed."""
    import logging

    import psycopg

    from learnops.adapters.postgres.connection import DatabaseUnavailableError
    from learnops.adapters.postgres.schema import SchemaMismatchError

    # The pool warns of every attempt; what became of it is said below.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
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

"""The pool: every wait has an end, every failure of the database one name."""

import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, TypeAlias

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection: TypeAlias = psycopg.AsyncConnection[TupleRow]
Cursor: TypeAlias = psycopg.AsyncCursor[TupleRow]
Params: TypeAlias = Sequence[object] | Mapping[str, object]
Pool: TypeAlias = AsyncConnectionPool[Connection]

# A statement that takes longer is stuck: nothing here reads more than a few thousand rows.
STATEMENT_TIMEOUT_MILLISECONDS = 10_000
ACQUIRE_TIMEOUT_SECONDS = 3.0
# Not the whole class: 25P02, a statement after one that failed, is a bug of ours.
_STATES: Final = frozenset({"25006", "25P03", "25P04"})


class DatabaseUnavailableError(Exception):
    """Postgres refused, timed out or broke off; nothing of the transaction may be assumed."""


def make_pool(url: str, *, application: str, max_size: int = 8) -> Pool:
    """A pool that is not yet open; it reconnects by itself, also when the database starts later.

    Args:
        url: libpq URL; the password in it is never logged.
        application: shown in `pg_stat_activity`.
        max_size: connections at most.
    """
    options: dict[str, Any] = {
        "application_name": application,
        "connect_timeout": 3,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MILLISECONDS}"
        " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        # A prepared statement keeps the plan that was made while its tables were small.
        "prepare_threshold": None,
    }
    return AsyncConnectionPool(
        url,
        kwargs=options,
        min_size=1,
        max_size=max_size,
        timeout=ACQUIRE_TIMEOUT_SECONDS,
        # After a failure each later caller tries anew, rather than waiting out a long back-off.
        reconnect_timeout=2.0,
        # A connection that died while idle is replaced before anybody is given it.
        check=_check_idle,
        max_lifetime=1800,
        open=False,
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on a pooled connection; raises DatabaseUnavailableError.

    Errors of a statement itself (a violated constraint, say) pass through: they are the caller's.
    """
    async with _connected(pool) as connection, connection.transaction():
        yield connection


async def read(pool: Pool, query: LiteralString, values: Params) -> list[TupleRow]:
    """The rows of one statement, in one round trip: it is a transaction by itself.

    Raises DatabaseUnavailableError, and what is wrong with the statement.
    """
    async with _connected(pool) as connection:
        await connection.set_autocommit(True)
        try:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall()
        finally:
            await connection.set_autocommit(False)


@asynccontextmanager
async def pipelined(pool: Pool) -> AsyncIterator[Connection]:
    """The same as `transaction`; what is executed travels together, begin and commit included.

    A round trip is made where rows are fetched, and at the end.
    """
    async with (
        _connected(pool) as connection,
        connection.pipeline(),
        connection.transaction(),
    ):
        yield connection


@asynccontextmanager
async def _connected(pool: Pool) -> AsyncIterator[Connection]:
    """A pooled connection; what a database does that is away has one name."""
    try:
        async with pool.connection() as connection, _writable(connection):
            yield connection
    except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailableError(_first_line(error)) from error
    except psycopg.InternalError as error:
        if not _of_its_state(error):
            raise
        raise DatabaseUnavailableError(_first_line(error)) from error


@asynccontextmanager
async def _writable(connection: Connection) -> AsyncIterator[None]:
    """A connection that refuses to write is closed: the pool's next one may lead to the primary,
    where this one has led to a standby since a failover."""
    try:
        yield
    except psycopg.errors.ReadOnlySqlTransaction:
        await connection.close()
        raise


def _of_its_state(error: psycopg.Error) -> bool:
    """Whether it is the state of the transaction that is at fault, and no statement: Postgres takes
    no writes (25006), or ended a transaction that took too long (25P03, 25P04)."""
    return error.sqlstate in _STATES


async def _check_idle(connection: Connection) -> None:
    """Ask the server whether it is there only if something came while nothing was asked.

    A server that ends a connection says so, and a network that breaks it is found out by the
    keepalives: both make the socket readable. To ask each time would cost every statement a round
    trip. Raises what the check raises; the pool then gives another connection.
    """
    idle = select.poll()
    idle.register(connection.pgconn.socket, select.POLLIN)
    if idle.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

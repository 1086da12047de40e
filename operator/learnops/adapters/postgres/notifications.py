"""NOTIFY, apart from what it tells of: after the commit, in a transaction of its own.

Postgres has one queue for all databases of a server, and whoever listens and stands still in a
transaction keeps what is in it. Full, it fails every transaction that notifies: none that stores
anything may be one of them.
"""

from collections.abc import Sequence
from typing import Final

import psycopg

from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool, read

# Equal payloads are told once.
_NOTIFY: Final = "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload"
# Postgres lets go of what everybody has read when it adds more: a full queue, to which nothing can
# be added, stays full after the listener has gone. Asking how full it is lets go, too.
_TIDY: Final = "SELECT pg_notification_queue_usage()"


async def notify(pool: Pool, *, channel: str, payloads: Sequence[str]) -> None:
    """Tell all who listen on the channel, in one round trip.

    Raises DatabaseUnavailableError, also where Postgres' queue is full and cannot be tidied.
    """
    values = (channel, list(payloads))
    try:
        await read(pool, _NOTIFY, values)
    except DatabaseUnavailableError as error:
        if not isinstance(error.__cause__, psycopg.errors.ProgramLimitExceeded):
            raise
        await tidy(pool)
        await read(pool, _NOTIFY, values)


async def tidy(pool: Pool) -> None:
    """Have Postgres let go of notifications that all have read. Raises DatabaseUnavailableError."""
    await read(pool, _TIDY, ())

"""Wake-ups: Postgres tells when the resolved prefix of a live rollout has grown."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

import psycopg

from learnops.adapters.postgres.connection import Pool
from learnops.adapters.postgres.notifications import notify
from learnops.domain.observed import Key

log = logging.getLogger(__name__)
CHANNEL: Final = "learnops_evidence"
_RETRY_SECONDS = 5.0
_CONNECT_SECONDS = 5


async def wake(pool: Pool, *, keys: Iterable[Key]) -> None:
    """Tell whoever listens that the logs of these doers grew, once that is committed.

    Raises DatabaseUnavailableError, also where Postgres' queue of notifications is full.
    """
    await notify(pool, channel=CHANNEL, payloads=[f"{it.namespace}/{it.doer}" for it in keys])


async def listen(url: str, *, wake: Callable[[Key], None]) -> None:
    """Call `wake` for each doer whose log grew, for ever; connect again when the database is back.

    What is missed meanwhile the evidence tick finds: a notification only makes it sooner.
    """
    while True:
        try:
            await _listen_once(url, wake)
        except psycopg.Error as error:
            # The message of a failed connection may name host and user, never the password.
            log.warning("no wake-ups from Postgres", extra={"error": str(error).partition("\n")[0]})
        await asyncio.sleep(_RETRY_SECONDS)


async def _listen_once(url: str, wake: Callable[[Key], None]) -> None:
    connection = await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        connect_timeout=_CONNECT_SECONDS,
        application_name="learnops-wakeups",
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
    )
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        async for told in connection.notifies():
            namespace, slash, doer = told.payload.partition("/")
            if slash:
                wake(Key(namespace=namespace, doer=doer))

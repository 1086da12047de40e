"""Tells of scored runs after their commit, in a loop of its own: ingest never waits for it."""

import asyncio
import logging
from collections import deque
from typing import Final

import psycopg

from learnops.adapters.postgres.announcements import CHANNEL, Computed, announce
from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool
from learnops.server.metrics import Metrics
from learnops.server.wake import Wake

log = logging.getLogger(__name__)
_WAITING: Final = 20_000
_AT_ONCE: Final = 1_000  # a few milliseconds of work between two answers
# Postgres commits transactions that notify one after another, in all databases: one for all runs of
# this time costs less than one a batch, and a failure of it can never undo an ingest.
_GATHER_SECONDS: Final = 0.05
_PERIOD_SECONDS: Final = 60.0


class Announcer:
    """Events wait in memory, bounded: the oldest are dropped, and the log of runs has them all."""

    def __init__(self, *, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._waiting: deque[Computed] = deque(maxlen=_WAITING)
        self._wake = Wake()
        self._dropping = False

    def add(self, computed: Computed) -> None:
        """A run was stored with this CRL; told a moment later."""
        self._waiting.append(computed)
        self._wake.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._wake.wait(period_seconds=_PERIOD_SECONDS)
            await asyncio.sleep(_GATHER_SECONDS)
            await self.step()

    async def step(self) -> None:
        """Tell what waits. What could not be told is dropped: nobody waits for an old event."""
        while self._waiting:
            told = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            try:
                await announce(self._pool, computed=told)
            except (DatabaseUnavailableError, psycopg.Error) as error:
                # Also where a listener that stands still in a transaction let the queue fill up.
                self._metrics.unnotified(CHANNEL, count=len(told))
                if not self._dropping:
                    reason = str(error).partition("\n")[0]
                    log.warning("crl_computed events are dropped until they work again: %s", reason)
                self._dropping = True
            else:
                self._dropping = False

"""Upkeep of the run log beside serving: days rolled up, what is old let go, erasures followed."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool
from learnops.adapters.postgres.erasure import follow_erasures
from learnops.adapters.postgres.retention import expire
from learnops.server.outage import Outage
from learnops.server.tracker import guarded

log = logging.getLogger(__name__)
PERIOD_SECONDS = 3600.0
# Not while a process is busy with its start.
_FIRST_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """Does hourly what `learnops db retention` does; replicas take turns, a page at a time."""

    pool: Pool
    keep_days: Mapping[str, int]
    outage: Outage

    async def run(self) -> None:
        """For ever; what could not be done is tried again an hour later."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            await guarded(self._attempt, what="upkeep", outage=self.outage)
            await asyncio.sleep(PERIOD_SECONDS)

    async def _attempt(self) -> None:
        # No outage of the process: the next look is an hour away, long after it is over.
        try:
            await self.step()
        except DatabaseUnavailableError as error:
            log.warning("upkeep of the run log is tried again in an hour: %s", error)

    async def step(self) -> None:
        """Once; stopped anywhere, the next goes on. Raises DatabaseUnavailableError."""
        for it in await expire(self.pool, keep_days=self.keep_days):
            if it.rows:
                log.info("%d rows of %s from before %s expired", it.rows, it.table, it.before)
        for done in await follow_erasures(self.pool):
            if done.runs or done.units:
                log.info("erasure %s: %d runs, %d units", done.erasure, done.runs, done.units)

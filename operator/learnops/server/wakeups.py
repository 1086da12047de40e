"""Wake-ups for whoever judges: sent after the commit, missed by nobody for long."""

import logging
from collections.abc import Collection

import psycopg

from learnops.adapters.postgres.connection import DatabaseUnavailableError, Pool
from learnops.adapters.postgres.wakeups import CHANNEL, wake
from learnops.domain.observed import Key
from learnops.server.metrics import Metrics

log = logging.getLogger(__name__)


class Wakeups:
    """Tells that evidence was stored. One that is lost costs time alone: the operator's next tick
    reads the same log."""

    def __init__(self, *, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._failing = False

    async def tell(self, keys: Collection[Key]) -> None:
        """The logs of these doers grew, and that is committed. Failures are counted, not raised:
        what was stored is stored."""
        if not keys:
            return
        try:
            await wake(self._pool, keys=keys)
        except (DatabaseUnavailableError, psycopg.Error) as error:
            self._metrics.unnotified(CHANNEL, count=len(keys))
            if not self._failing:
                reason = str(error).partition("\n")[0]
                log.warning("the operator is not woken, and looks at its tick: %s", reason)
            self._failing = True
        else:
            self._failing = False

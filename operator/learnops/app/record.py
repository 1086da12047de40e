"""The record of a doer at rest, read now and then: what a restored database has lost of it."""

import logging
from dataclasses import dataclass, field

from learnops.domain.observed import History, Key
from learnops.ports.clock import Clock
from learnops.ports.runlog import RunLog, RunLogUnavailableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RecordLooks:
    """At the first pass over a doer and then every `every_seconds`; a rollout starts it over."""

    runlog: RunLog
    clock: Clock
    every_seconds: float
    _read_at: dict[Key, float] = field(default_factory=dict)

    async def history(self, *, key: Key, at_rest: bool) -> History | None:
        """The doer's history where a look is due, else None.

        No rule waits for it: while the run log cannot be read, nothing is said of that either, and
        the next pass tries again.
        """
        if not at_rest:
            self._read_at.pop(key, None)
            return None
        now = self.clock.monotonic()
        if now - self._read_at.get(key, now - self.every_seconds) < self.every_seconds:
            return None
        try:
            found = await self.runlog.history(key=key)
        except RunLogUnavailableError as error:
            log.info("record not read", extra={"key": str(key), "error": str(error)})
            return None
        self._read_at[key] = now
        return found

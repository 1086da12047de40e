"""Keeps the watch alive: a fresh session after each end, and an end of its own if that goes on."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from learnops.domain.backoff import Delays
from learnops.ports.clock import Clock

_DELAYS: Final = Delays(first_seconds=0.5, most_seconds=30.0)
log = logging.getLogger(__name__)


class GaveUpError(Exception):
    """The watch ended too often: it is our bug, and a fresh process is the last resort."""


@dataclass(frozen=True, kw_only=True)
class Supervisor:
    """Runs `session` again and again. `chance` gives random numbers in [0, 1).

    More than `most` ends within `window_seconds` raise GaveUpError. An end of a session is never
    expected: kopf retries what can be retried for ever by itself.
    """

    session: Callable[[], Awaitable[BaseException | None]]
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    most: int = 10
    window_seconds: float = 600.0
    _ends: deque[float] = field(default_factory=deque)

    async def run(self) -> None:
        """Never returns."""
        while True:
            error = await self.session()
            now = self.clock.monotonic()
            self._ends.append(now)
            while self._ends[0] < now - self.window_seconds:
                self._ends.popleft()
            count = len(self._ends)
            if count > self.most:
                raise GaveUpError(f"the watch ended {count} times in {self.window_seconds:g} s")
            delay = _DELAYS.after(count, chance=self.chance())
            log.error("watch ended", exc_info=error, extra={"restart": round(delay, 3)})
            await self.sleep(delay)

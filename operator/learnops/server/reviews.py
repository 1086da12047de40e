"""Whether Kubernetes tells who is asking, as seen from the reviews that were asked for anyway."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from learnops.ports.access import AccessUnavailableError, Caller, Gatekeeper, Need
from learnops.ports.clock import Clock

Answer = TypeVar("Answer")


@dataclass(kw_only=True)
class Reviews:
    """What came of the last one. `by_kubernetes` False: a development token, nobody is asked."""

    clock: Clock
    by_kubernetes: bool = False
    failing: bool = False
    _last: float | None = None

    def note(self, *, failed: bool) -> None:
        """A review was answered, or was not."""
        self.failing = failed
        self._last = self.clock.monotonic()

    def age_seconds(self) -> float | None:
        """Since the last one ended; None: none was needed yet."""
        return None if self._last is None else self.clock.monotonic() - self._last


class NotedGatekeeper:
    """A `Gatekeeper` before another one that writes down whether it could tell."""

    def __init__(self, asks: Gatekeeper, *, reviews: Reviews) -> None:
        self._asks = asks
        self._reviews = reviews
        reviews.by_kubernetes = True

    async def authenticate(self, token: str) -> Caller | None:
        """As the other one; raises AccessUnavailableError."""
        return await self._noted(self._asks.authenticate(token))

    async def allows(self, caller: Caller, need: Need) -> bool:
        """As the other one; raises AccessUnavailableError."""
        return await self._noted(self._asks.allows(caller, need))

    async def _noted(self, review: Awaitable[Answer]) -> Answer:
        try:
            answer = await review
        except AccessUnavailableError:
            self._reviews.note(failed=True)
            raise
        self._reviews.note(failed=False)
        return answer

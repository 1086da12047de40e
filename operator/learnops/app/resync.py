"""The periodic relist: finds what the watch missed, and looks at every key."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from learnops.app.cache import KINDS, ObjectCache
from learnops.domain.observed import Key
from learnops.ports.kube import Kube, KubeUnavailableError, RefusedError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Resync:
    """Relists every `period_seconds`; `sleep` is how time passes, injected for tests.

    Keys are spread over `spread_seconds`, so that five hundred idle doers are not one burst.
    """

    kube: Kube
    cache: ObjectCache
    add_after: Callable[[Key, float], None]
    chance: Callable[[], float]
    period_seconds: float = 300.0
    spread_seconds: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def once(self) -> set[Key]:
        """List every kind into the cache; the doers whose objects had changed or were gone."""
        concerned: set[Key] = set()
        for kind in KINDS:
            before = self.cache.uids(kind)
            listed = await self.kube.list(kind=kind)
            concerned |= self.cache.replace(before=before, listed=listed)
        return concerned

    async def run(self) -> None:
        """Relist for ever; an API server that is away is tried again at the next period."""
        while True:
            await self.sleep(self.period_seconds)
            try:
                missed = await self.once()
            except (KubeUnavailableError, RefusedError) as error:
                log.warning("resync failed", extra={"error": str(error)})
                continue
            for key in self.cache.keys():  # noqa: SIM118 - not a dict
                spread = self.chance() * self.spread_seconds
                self.add_after(key, 0.0 if key in missed else spread)
            for key in missed:
                self.add_after(key, 0.0)

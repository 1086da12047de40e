"""The relist: finds what the watch missed, and now and then looks at every key."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from learnops.app.cache import KINDS, ObjectCache
from learnops.app.workers import Wait, wait_for
from learnops.domain.observed import Key
from learnops.ports.kube import Kube, KubeUnavailableError, RefusedError

log = logging.getLogger(__name__)


# A watch that begins anew lists each kind, in pages: one relist answers for all of them.
_COALESCE_SECONDS = 0.5
_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Resync:
    """Relists every `period_seconds`, and when asked; `wait` is how time passes.

    Keys are spread over `spread_seconds`, so that five hundred idle doers are not one burst.
    """

    kube: Kube
    cache: ObjectCache
    add_after: Callable[[Key, float], None]
    chance: Callable[[], float]
    period_seconds: float = 300.0
    spread_seconds: float = 60.0
    wait: Wait = wait_for
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """Relist soon: the watch had a gap, and what was deleted in it nobody tells."""
        self._asked.set()

    async def once(self) -> set[Key]:
        """List every kind into the cache; the doers whose objects had changed or were gone."""
        concerned: set[Key] = set()
        for kind in KINDS:
            before = self.cache.uids(kind)
            listed = await self.kube.list(kind=kind)
            concerned |= self.cache.replace(before=before, listed=listed)
        return concerned

    async def run(self) -> None:
        """Relist for ever; an API server that is away is tried again.

        A relist that was asked for is tried until it succeeds: a deletion may depend on it.
        """
        while True:
            await self.wait(self._asked, self.period_seconds)
            asked = self._asked.is_set()
            if asked:
                await self.wait(asyncio.Event(), _COALESCE_SECONDS)
                self._asked.clear()
            try:
                missed = await self.once()
            except (KubeUnavailableError, RefusedError) as error:
                log.warning("resync failed", extra={"error": str(error)})
                if asked:
                    await self.wait(asyncio.Event(), _AGAIN_SECONDS)
                    self.ask()
                continue
            for key in missed:
                self.add_after(key, 0.0)
            if not asked:
                self._look_at_all()

    def _look_at_all(self) -> None:
        for key in self.cache.keys():  # noqa: SIM118 - not a dict
            self.add_after(key, self.chance() * self.spread_seconds)

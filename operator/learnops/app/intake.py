"""Where the watch meets the cache and the queue."""

from dataclasses import dataclass
from typing import Any

from learnops.app.cache import ObjectCache
from learnops.app.queue import WorkQueue
from learnops.domain.observed import Key


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Takes in what a watch shows. An echo of an own write is no news and queues nothing."""

    cache: ObjectCache
    queue: WorkQueue[Key]

    def receive(self, event: str | None, raw: dict[str, Any]) -> None:
        """One watch event: `DELETED`, or anything else for "this is how it is now"."""
        keys = self.cache.remove(raw) if event == "DELETED" else self.cache.put(raw)
        for key in keys:
            self.queue.add(key)

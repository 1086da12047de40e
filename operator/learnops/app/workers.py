"""Workers: take keys from the queue, work on them, a bounded number at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from learnops.app.queue import WorkQueue

K = TypeVar("K")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Next:
    """What follows for a key: `retry` after its back-off, or a look after `after_seconds`.

    A retry is not before `not_before` seconds have passed, whatever happens.
    """

    retry: bool = False
    not_before: float = 0.0
    after_seconds: float | None = None


Wait = Callable[[asyncio.Event, float | None], Awaitable[None]]


async def wait_for(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until `event` is set or `seconds` have passed (None: for ever)."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class Workers(Generic[K]):
    """`concurrency` workers over one queue. `wait` is how time passes, injected for tests."""

    def __init__(
        self,
        *,
        queue: WorkQueue[K],
        work: Callable[[K], Awaitable[Next]],
        concurrency: int,
        wait: Wait = wait_for,
        on_bug: Callable[[K], None] = lambda _key: None,
    ) -> None:
        self._queue = queue
        self._work = work
        self._free = concurrency
        self._wait = wait
        self._on_bug = on_bug
        self._changed = asyncio.Event()
        queue.changed = self._changed.set

    async def run(self) -> None:
        """Work until cancelled. Keys being worked on are cancelled with it."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while self._free > 0 and (key := self._queue.take()) is not None:
                    self._free -= 1
                    group.create_task(self._one(key), name=f"work {key}")
                due = self._queue.seconds_until_due() if self._free > 0 else None
                await self._wait(self._changed, due)

    async def _one(self, key: K) -> None:
        try:
            await self._once(key)
        except asyncio.CancelledError:
            self._queue.retry(key)  # whoever cancelled it, the key is not lost
            raise
        finally:
            self._free += 1
            self._queue.done(key)

    async def _once(self, key: K) -> None:
        try:
            following = await self._work(key)
        except (
            Exception
        ):  # the one place where a bug in the work on one key is kept from the others
            seconds = self._queue.retry(key)
            log.exception("bug", extra={"key": str(key), "outcome": "Bug", "retry": seconds})
            self._on_bug(key)
            return
        if following.retry:
            self._queue.retry(key, not_before=following.not_before)
            return
        self._queue.forget(key)
        if following.after_seconds is not None:
            self._queue.add_after(key, seconds=following.after_seconds)

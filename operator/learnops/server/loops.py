"""The background loops of a process: none of them ends, so one that does is a bug."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

log = logging.getLogger(__name__)


class Loops:
    """Runs them. One that ends by itself ends the process: an api that goes on answering without
    timeouts, evidence or upkeep would be worse than one that starts again."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: asyncio.Task[None] | None = None
        self.on_end: Callable[[], None] = _nobody

    def start(self, loops: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Begin; `on_end` is called once any of them ends by itself."""
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        for task in self._tasks:
            task.add_done_callback(self._one_ended)

    async def stop(self) -> None:
        """Cancel them all, and wait."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise what ended one of them, if one did."""
        if self._ended is not None:
            self._ended.result()
            raise RuntimeError("a background loop of the api has ended")

    def _one_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._ended is not None:
            return
        self._ended = task
        log.error("a background loop has ended, which is a bug; the api stops")
        self.on_end()


def _nobody() -> None:
    """Nobody asked to be told."""

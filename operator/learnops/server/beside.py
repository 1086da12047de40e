"""What takes long is done beside the event loop, and namespaces take turns at it.

A bundle of a mebibyte can take a second to check, to redact and to write. On the loop it would hold
up everybody, and in one queue whoever sends many of them would.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from learnops.server.problems import Problem

T = TypeVar("T")

LARGE_BYTES: Final = 16 * 1024
"""A bundle of more bytes, as JSON, is done here; one of fewer takes the loop milliseconds."""


@dataclass(frozen=True, kw_only=True)
class BesideLimits:
    """So many threads, of which one namespace has one at most; `requests` of a namespace that have
    something large in them may be under way."""

    threads: int = 2
    requests: int = 8


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    work: Callable[[], T]
    done: asyncio.Future[T]


class Beside:
    """Threads for what takes long. Who waits longest for a turn has it next, whatever the others
    have waiting."""

    def __init__(self, limits: BesideLimits | None = None) -> None:
        self._limits = limits or BesideLimits()
        self._waiting: dict[str, deque[_Job[Any]]] = {}  # by whose it is, in the order of turns
        self._busy: set[str] = set()
        self._inside: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="beside")

    def of(self, whose: str) -> "Turns":
        """The turns of one namespace, or of one caller."""
        return Turns(self, whose=whose)

    @contextmanager
    def entered(self, whose: str) -> Iterator[None]:
        """A request of theirs with something large in it is under way until this ends. Raises
        Problem 429: before anything of it is stored, and never in its middle."""
        if self._inside[whose] >= self._limits.requests:
            raise _crowded(self._limits.requests)
        self._inside[whose] += 1
        try:
            yield
        finally:
            self._inside[whose] -= 1
            if not self._inside[whose]:
                del self._inside[whose]

    async def run(self, whose: str, work: Callable[[], T]) -> T:
        """What the work comes to. Raises what it raises. Who is cancelled gives up the turn; work
        that has begun ends by itself."""
        job: _Job[T] = _Job(work, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(whose, deque()).append(job)
        self._begin()
        try:
            return await job.done
        except asyncio.CancelledError:
            self._give_up(whose, job)
            raise

    def close(self) -> None:
        """Take no more; what is under way in a thread ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        while len(self._busy) < self._limits.threads:
            whose = next((one for one in self._waiting if one not in self._busy), None)
            if whose is None:
                return
            queue = self._waiting.pop(whose)
            job = queue.popleft()
            if queue:
                self._waiting[whose] = queue  # behind the others
            self._busy.add(whose)
            running = asyncio.get_running_loop().run_in_executor(self._threads, job.work)
            running.add_done_callback(partial(self._ended, whose, job))

    def _ended(self, whose: str, job: _Job[T], running: asyncio.Future[T]) -> None:
        self._busy.discard(whose)
        if running.cancelled():
            job.done.cancel()
        elif (error := running.exception()) is not None:
            if not job.done.done():
                job.done.set_exception(error)
        elif not job.done.done():
            job.done.set_result(running.result())
        self._begin()

    def _give_up(self, whose: str, job: _Job[T]) -> None:
        queue = self._waiting.get(whose, deque())
        if job in queue:
            queue.remove(job)
            if not queue:
                del self._waiting[whose]


@dataclass(frozen=True, slots=True)
class Turns:
    """Those of one namespace, or of one caller."""

    beside: Beside
    whose: str

    @contextmanager
    def entered(self, *, large: bool) -> Iterator[None]:
        """As `Beside.entered`, for a request that has something large in it."""
        if not large:
            yield
            return
        with self.beside.entered(self.whose):
            yield

    async def run(self, work: Callable[[], T]) -> T:
        """As `Beside.run`."""
        return await self.beside.run(self.whose, work)


def _crowded(requests: int) -> Problem:
    detail = (
        f"{requests} requests of yours with bundles of over {LARGE_BYTES} bytes are under way; "
        "send this one again after Retry-After seconds"
    )
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after=1)

"""Requests that arrive together are written together: one transaction instead of many."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from learnops.adapters.postgres.connection import DatabaseUnavailableError
from learnops.server.problems import overloaded

In = TypeVar("In")
Out = TypeVar("Out")
Flush = Callable[[Sequence[In]], Awaitable[Sequence[Out]]]


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """At most `batch` items a flush, `waiting` items in all, `flushes` flushes at a time, each of
    `flush_seconds`: a database that is frozen must not hold the flushes for ever."""

    batch: int = 1000
    waiting: int = 20_000
    flushes: int = 1
    flush_seconds: float = 20.0


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How full a queue is, for whoever watches: `waiting` items now, `limit` at most."""

    waiting: Callable[[], int]
    limit: int


@dataclass(slots=True)
class _Job(Generic[In, Out]):
    items: Sequence[In]
    done: asyncio.Future[Sequence[Out]]


class Batcher(Generic[In, Out]):
    """Collects what arrives while a flush is under way, and flushes that next.

    There is no waiting for company: an item that finds nothing under way goes at once, so the
    delay under light load is nil, and under heavy load the batches grow by themselves.
    """

    def __init__(self, flush: Flush[In, Out], *, limits: BatchLimits | None = None) -> None:
        self._flush = flush
        self._limits = limits or BatchLimits()
        self._jobs: deque[_Job[In, Out]] = deque()
        self._waiting = 0
        self._workers = 0
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Items that were submitted and are not answered yet."""
        return self._waiting

    @property
    def queue(self) -> Queue:
        """For whoever watches."""
        return Queue(waiting=lambda: self._waiting, limit=self._limits.waiting)

    async def submit(self, items: Sequence[In]) -> Sequence[Out]:
        """The flush's answers to these items, in their order.

        Raises what the flush raised; Problem 429 when too much is waiting. A caller that is
        cancelled does not stop the flush: what it sent may be stored.
        """
        if not items:
            return []
        if self._waiting + len(items) > self._limits.waiting:
            raise overloaded()
        job = _Job[In, Out](items, asyncio.get_running_loop().create_future())
        self._waiting += len(items)
        self._jobs.append(job)
        if self._workers < self._limits.flushes:
            self._workers += 1
            task = asyncio.create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await job.done

    async def drain(self) -> None:
        """Wait until all that was submitted is answered."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _work(self) -> None:
        while self._jobs:
            await self._run(self._take())
        # In the same step as the look at the queue: whoever submits next sees no worker. The task
        # itself is still in `_running` then.
        self._workers -= 1

    def _take(self) -> list[_Job[In, Out]]:
        jobs = [self._jobs.popleft()]
        size = len(jobs[0].items)
        while self._jobs and size + len(self._jobs[0].items) <= self._limits.batch:
            jobs.append(self._jobs.popleft())
            size += len(jobs[-1].items)
        return jobs

    async def _run(self, jobs: list[_Job[In, Out]]) -> None:
        items = [item for job in jobs for item in job.items]
        try:
            answers = await self._in_time(items)
        except Exception as error:  # noqa: BLE001 - handed to each caller, who answers for it
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(error)
        else:
            position = 0
            for job in jobs:
                if not job.done.done():
                    job.done.set_result(answers[position : position + len(job.items)])
                position += len(job.items)
        finally:
            self._waiting -= len(items)

    async def _in_time(self, items: Sequence[In]) -> Sequence[Out]:
        seconds = self._limits.flush_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._flush(items)
        except TimeoutError as error:
            raise DatabaseUnavailableError(f"no answer within {seconds:g} s") from error

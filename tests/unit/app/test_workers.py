"""Workers: bounded, isolated, and none of their keys is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

from learnops.app.queue import WorkQueue
from learnops.app.workers import Next, Workers
from tests.unit.app.fakes import FakeClock

DEADLINE_SECONDS = 60.0


@asynccontextmanager
async def running(
    work: Callable[[str], Awaitable[Next]],
    *,
    clock: FakeClock,
    concurrency: int = 2,
    on_bug: Callable[[str], None] = lambda _key: None,
) -> AsyncIterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue(monotonic=clock.monotonic, chance=lambda: 0.0)
    workers = Workers(
        queue=queue, work=work, concurrency=concurrency, wait=clock.wait, on_bug=on_bug
    )
    task = asyncio.create_task(workers.run())
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield queue
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_at_most_so_many_keys_are_worked_on_at_once() -> None:
    now, most, finished = 0, 0, asyncio.Event()
    left = set("abcdefgh")

    async def work(key: str) -> Next:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        left.discard(key)
        if not left:
            finished.set()
        return Next()

    async with running(work, clock=FakeClock(), concurrency=3) as queue:
        for key in "abcdefgh":
            queue.add(key)
        await finished.wait()
    assert most == 3


async def test_a_bug_in_one_key_backs_off_and_the_others_go_on() -> None:
    clock, seen, bugs = FakeClock(), Counter[str](), []
    attempts: list[float] = []
    finished = asyncio.Event()

    async def work(key: str) -> Next:
        seen[key] += 1
        if key == "bad":
            attempts.append(clock.monotonic())
            if len(attempts) == 4:
                finished.set()
            raise ValueError("our bug")
        return Next()

    async with running(work, clock=clock, on_bug=bugs.append) as queue:
        queue.add("bad")
        queue.add("good")
        await finished.wait()
    gaps = [later - earlier for earlier, later in pairwise(attempts)]
    assert gaps == sorted(gaps)
    assert gaps[0] > 0
    assert seen["good"] == 1
    assert bugs[:3] == ["bad"] * 3


async def test_a_key_is_looked_at_again_after_the_time_it_asked_for() -> None:
    clock, times, finished = FakeClock(), [], asyncio.Event()

    async def work(_key: str) -> Next:
        times.append(clock.monotonic())
        if len(times) == 3:
            finished.set()
        return Next(after_seconds=7.0)

    async with running(work, clock=clock) as queue:
        queue.add("a")
        await finished.wait()
    assert [round(time - times[0], 6) for time in times] == [0.0, 7.0, 14.0]


async def test_a_failure_with_a_wish_of_no_wait_backs_off_all_the_same() -> None:
    clock, times, finished = FakeClock(), [], asyncio.Event()

    async def work(_key: str) -> Next:
        times.append(clock.monotonic())
        if len(times) == 4:
            finished.set()
        return Next(retry=True, after_seconds=0.0)

    async with running(work, clock=clock) as queue:
        queue.add("a")
        await finished.wait()
    assert [round(time - times[0], 6) for time in times] == [0.0, 0.1, 0.3, 0.7]


async def test_work_that_is_cancelled_from_outside_comes_back() -> None:
    clock, finished = FakeClock(), asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def work(_key: str) -> Next:
        current = asyncio.current_task()
        assert current is not None
        tasks.append(current)
        if len(tasks) == 1:
            current.cancel()
            await asyncio.sleep(0)
        finished.set()
        return Next()

    async with running(work, clock=clock) as queue:
        queue.add("a")
        await finished.wait()
    assert len(tasks) == 2


async def test_success_resets_the_back_off() -> None:
    clock, times, finished = FakeClock(), [], asyncio.Event()
    answers = [Next(retry=True), Next(retry=True), Next(after_seconds=0.001), Next(retry=True)]

    async def work(_key: str) -> Next:
        times.append(clock.monotonic())
        if len(times) == 5:
            finished.set()
            return Next()
        return answers[len(times) - 1]

    async with running(work, clock=clock) as queue:
        queue.add("a")
        await finished.wait()
    gaps = [round(b - a, 6) for a, b in pairwise(times)]
    assert gaps == [0.1, 0.2, 0.001, 0.1]

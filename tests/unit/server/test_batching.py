"""What arrives together is flushed together; too much is refused; a failure reaches its callers."""

import asyncio
from collections.abc import Sequence

import pytest

from learnops.server.batching import Batcher, BatchLimits
from learnops.server.problems import Problem


class Flush:
    """Doubles numbers once it is let through, and notes each batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [item * 2 for item in items]


async def _submitted(batcher: Batcher[int, int], *groups: list[int]) -> list[asyncio.Task[object]]:
    tasks: list[asyncio.Task[object]] = []
    for group in groups:
        tasks.append(asyncio.create_task(batcher.submit(group)))  # type: ignore[arg-type]
        await asyncio.sleep(0)  # let it arrive before the next
    return tasks


async def test_what_arrives_during_a_flush_goes_together_in_the_next() -> None:
    flush = Flush()
    batcher = Batcher(flush, limits=BatchLimits(batch=4, waiting=100))
    tasks = await _submitted(batcher, [1], [2], [3, 4], [5, 6], [7])
    flush.gate.set()
    assert await asyncio.gather(*tasks) == [[2], [4], [6, 8], [10, 12], [14]]
    assert flush.batches == [[1], [2, 3, 4], [5, 6, 7]]
    assert batcher.waiting == 0


async def test_a_group_larger_than_a_batch_goes_alone_and_whole() -> None:
    flush = Flush()
    flush.gate.set()
    batcher = Batcher(flush, limits=BatchLimits(batch=2, waiting=100))
    assert await batcher.submit([1, 2, 3]) == [2, 4, 6]
    assert flush.batches == [[1, 2, 3]]


async def test_too_much_waiting_is_refused_and_room_comes_back() -> None:
    flush = Flush()
    batcher = Batcher(flush, limits=BatchLimits(batch=1, waiting=2))
    tasks = await _submitted(batcher, [1], [2])
    with pytest.raises(Problem) as refused:
        await batcher.submit([3])
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    flush.gate.set()
    await asyncio.gather(*tasks)
    assert await batcher.submit([3]) == [6]


async def test_a_failed_flush_fails_its_callers_and_no_others() -> None:
    flush = Flush()
    flush.error = OSError("away")
    flush.gate.set()
    batcher = Batcher(flush)
    with pytest.raises(OSError, match="away"):
        await batcher.submit([1])
    flush.error = None
    assert await batcher.submit([2]) == [4]


async def test_a_caller_that_leaves_stops_nobody() -> None:
    flush = Flush()
    batcher = Batcher(flush, limits=BatchLimits(batch=10, waiting=100))
    first, leaving, staying = await _submitted(batcher, [1], [2], [3])
    leaving.cancel()
    flush.gate.set()
    assert await asyncio.gather(first, staying) == [[2], [6]]
    await batcher.drain()
    assert flush.batches == [[1], [2, 3]]
    assert batcher.waiting == 0

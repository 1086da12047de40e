"""What takes long is done in threads; namespaces take turns, and none has all of them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from learnops.ports.access import Caller, Gatekeeper, Need
from learnops.server.access import Access
from learnops.server.beside import Beside, BesideLimits
from learnops.server.problems import Problem


class Work:
    """Pieces of work that end when the test says so; notes in which order they began."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._ends: dict[str, threading.Event] = {}
        self._begins: dict[str, threading.Event] = {}

    def __call__(self, name: str) -> Callable[[], str]:
        ends = self._ends[name] = threading.Event()
        begins = self._begins[name] = threading.Event()

        def done() -> str:
            self.begun.append(name)
            begins.set()
            assert ends.wait(60)
            return name

        return done

    async def has_begun(self, name: str) -> None:
        assert await asyncio.to_thread(self._begins[name].wait, 60), name

    def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()

    def end_all(self) -> None:
        self.end(*self._ends)


@asynccontextmanager
async def beside(**limits: int) -> AsyncIterator[tuple[Beside, Work]]:
    made, work = Beside(BesideLimits(**limits)), Work()
    try:
        yield made, work
    finally:
        work.end_all()
        made.close()


async def ask(by: Beside, whose: str, work: Callable[[], str]) -> "asyncio.Task[str]":
    """The work is waiting when this returns."""
    task = asyncio.create_task(by.run(whose, work))
    await asyncio.sleep(0)
    return task


async def test_one_namespace_has_one_thread_and_the_others_have_the_next() -> None:
    async with beside(threads=2) as (by, work):
        tasks = [await ask(by, "a", work(f"a{number}")) for number in range(3)]
        await work.has_begun("a0")
        tasks.append(await ask(by, "b", work("b0")))
        await work.has_begun("b0")
        assert work.begun == ["a0", "b0"]
        work.end_all()
        assert [await task for task in tasks] == ["a0", "a1", "a2", "b0"]


async def test_turns_go_round_whatever_waits() -> None:
    async with beside(threads=1) as (by, work):
        tasks = [await ask(by, "a", work(f"a{number}")) for number in range(4)]
        tasks += [await ask(by, "b", work(f"b{number}")) for number in range(2)]
        tasks.append(await ask(by, "c", work("c0")))
        work.end_all()
        await asyncio.gather(*tasks)
        assert work.begun == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_too_much_of_one_namespace_is_refused_and_another_is_not() -> None:
    async with beside(requests=2) as (by, _):
        a, b = by.of("a"), by.of("b")
        with a.entered(large=True):
            with a.entered(large=True):
                with pytest.raises(Problem) as refused, a.entered(large=True):
                    pass
                with a.entered(large=False), b.entered(large=True):
                    pass
            with a.entered(large=True):
                pass
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    assert refused.value.detail.startswith("2 requests of yours with bundles of over 16384 bytes")


async def test_who_is_cancelled_gives_up_the_turn_and_the_place() -> None:
    async with beside(threads=1) as (by, work):
        running = await ask(by, "a", work("a0"))
        await work.has_begun("a0")
        waiting = await ask(by, "a", work("a1"))
        waiting.cancel()
        running.cancel()
        assert await asyncio.gather(waiting, running, return_exceptions=True)
        after = await ask(by, "a", work("a2"))
        work.end_all()
        assert await after == "a2"
        assert work.begun == ["a0", "a2"]


async def test_what_the_work_raises_is_raised_and_the_thread_goes_on() -> None:
    def broken() -> str:
        raise ValueError("broken")

    async with beside(threads=1) as (by, work):
        with pytest.raises(ValueError, match="broken"):
            await by.run("a", broken)
        after = work("after")
        work.end_all()
        assert await by.run("a", after) == "after"


class Nobody(Gatekeeper):
    async def authenticate(self, token: str) -> Caller | None:
        raise AssertionError(token)

    async def allows(self, caller: Caller, need: Need) -> bool:
        raise AssertionError((caller, need))


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("system:serviceaccount:agents:planner", "agents"),
        ("system:serviceaccount:agents:other", "agents"),
        ("jane", "jane"),
        ("system:serviceaccount:", "system:serviceaccount:"),
        ("x system:serviceaccount:agents:planner", "x system:serviceaccount:agents:planner"),
    ],
)
def test_a_service_account_counts_for_its_namespace(name: str, whose: str) -> None:
    assert Access(caller=Caller(name=name), by=Nobody()).whose == whose

"""The candidate beside a coroutine, where the event loop of its agent ends."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from learnops.client import AsyncLearner, AsyncRun
from testbed.waiting import wait_until
from tests.contract.client.coroutines import DEADLINE_SECONDS, until
from tests.contract.client.handler import Handler
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.test_shadow import REPORT, SHADOWS, Beside, opened


class Held:
    """Pairs that the api opens when it is told to."""

    def __init__(self, api: StandInApi) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        api.shadow, api.misbehave[SHADOWS] = "planner-v2", self._hold

    def _hold(self, handler: Handler) -> None:
        self.asked.set()
        self.go_on.wait(DEADLINE_SECONDS)
        opened(handler)


@pytest.fixture
def held(api: StandInApi) -> Held:
    return Held(api)


@pytest.fixture
def learner(api: StandInApi, held: Held) -> Iterator[AsyncLearner]:
    assert held  # before the learner asks for the doer's traffic
    made = AsyncLearner("planner", api=api.url, namespace="agents")
    wait_until(
        lambda: made.stats()["revision"] == 1,
        what="revision 1 in the SDK",
        deadline_seconds=DEADLINE_SECONDS,
    )
    yield made
    asyncio.run(made.close())


def asked(api: StandInApi, path: str) -> int:
    return sum(told["path"] == path for told in api.requests)


def test_a_loop_for_each_call_costs_the_candidate_nothing(
    api: StandInApi, held: Held, learner: AsyncLearner
) -> None:
    beside = Beside(api)

    @learner.agent
    async def plan(run: AsyncRun) -> None:
        await run.finish(metrics={"grounding": 1.0})

    async def living() -> None:
        await plan()
        await until(held.asked.is_set)  # the thread that would run the others
        for _ in range(3):
            await asyncio.to_thread(lambda: asyncio.run(plan()))
        held.go_on.set()
        assert await learner.flush(DEADLINE_SECONDS)

    asyncio.run(living())
    assert asked(api, SHADOWS) == len(beside.told) == 1
    assert learner.stats()["shadows_dropped"] == 3
    assert learner.stats()["shadows_run"] == 1


def test_a_loop_that_ends_while_the_pair_is_opened_is_no_failure(
    api: StandInApi, held: Held, learner: AsyncLearner
) -> None:
    beside = Beside(api)

    @learner.agent
    async def plan(run: AsyncRun) -> None:
        await run.finish(metrics={"grounding": 1.0})

    async def job() -> None:
        await plan()
        await until(held.asked.is_set)

    asyncio.run(job())
    held.go_on.set()
    assert asyncio.run(learner.flush(DEADLINE_SECONDS))
    assert [one["metrics"] for one in beside.told] == [{"grounding": 1.0}]
    assert [one["gates"] for one in beside.told] == [[]]


def test_a_loop_that_ends_under_its_candidate_lets_it_run_anew(
    api: StandInApi, held: Held, learner: AsyncLearner
) -> None:
    beside = Beside(api)
    held.go_on.set()
    begun: list[bool] = []

    @learner.agent
    async def plan(run: AsyncRun) -> None:
        if run.dry_run:
            begun.append(True)
            run.record_usage(model="m", input_tokens=1, output_tokens=1)
            if len(begun) == 1:
                await asyncio.Event().wait()
        await run.finish(metrics={"grounding": 1.0})

    async def job() -> None:
        await plan()
        await until(lambda: begun)

    asyncio.run(job())
    assert asyncio.run(learner.flush(DEADLINE_SECONDS))
    (told,) = beside.told
    assert (len(begun), told["metrics"], told["gates"]) == (2, {"grounding": 1.0}, [])
    costs = told["costs"]
    assert isinstance(costs, dict)
    assert costs["modelCalls"] == 1
    assert asked(api, REPORT) == 1


def test_what_the_candidate_itself_cancels_is_its_failure(
    api: StandInApi, held: Held, learner: AsyncLearner
) -> None:
    beside = Beside(api)
    held.go_on.set()

    @learner.agent
    async def plan(run: AsyncRun) -> None:
        if run.dry_run:
            raise asyncio.CancelledError
        await run.finish(metrics={"grounding": 1.0})

    async def job() -> None:
        await plan()
        assert await learner.flush(DEADLINE_SECONDS)

    asyncio.run(job())
    assert [one["gates"] for one in beside.told] == [[{"name": "completed", "passed": False}]]

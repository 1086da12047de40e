"""Learners for coroutines, and an api that answers when it is told to."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from learnops.client import AsyncLearner, Options
from tests.contract.client.handler import Handler
from tests.contract.client.learners import ASSIGNMENTS
from tests.contract.client.stand_in import StandInApi
from tests.patience import WAITS

Open = Callable[..., Awaitable[AsyncLearner]]
DEADLINE_SECONDS = 60.0


@pytest.fixture
async def connect(api: StandInApi) -> AsyncIterator[Open]:
    """Make learners that know a revision, closed in the end."""
    async with AsyncExitStack() as stack:

        async def make(revision: int | None = 1, **given: Any) -> AsyncLearner:
            bounds = {**WAITS, "close_seconds": 0.5}
            options = Options(**{**bounds, **given.pop("options", {})})
            arguments = {"api": api.url, "namespace": "agents", **given}
            learner = AsyncLearner("planner", options=options, **arguments)
            await stack.enter_async_context(learner)
            if revision is not None:
                await until(lambda: learner.stats()["revision"] == revision)
            return learner

        yield make


async def until(check: Callable[[], object]) -> None:
    """Wait in the loop until something holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not check():  # noqa: ASYNC110 - what it looks at changes in threads
            await asyncio.sleep(0.005)


class Held:
    """Registrations that the api answers when it is told to."""

    def __init__(self, api: StandInApi) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        api.misbehave[ASSIGNMENTS] = self._hold

    def _hold(self, handler: Handler) -> None:
        self.asked.set()
        self.go_on.wait(DEADLINE_SECONDS)
        handler.behave(ASSIGNMENTS)

"""The learner of agents that are coroutines (asyncio): the same engine, waited for by the loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import wraps
from inspect import signature
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from learnops.client.beside import lives_on, run_in
from learnops.client.bundle import Outcome
from learnops.client.calls import Asked, asked, check_coroutine
from learnops.client.learner import Learner
from learnops.client.run import BaseRun
from learnops.client.waiting import Steps, Wait

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_Agent = Callable[Concatenate["AsyncRun", P], Coroutine[Any, Any, R]]


def _with_arguments_of(
    model: Callable[Concatenate[Any, P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """For readers and type checkers a constructor has the arguments of another one: the two sides
    cannot drift apart."""

    def dressed(constructor: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        constructor.__signature__ = signature(model)  # type: ignore[attr-defined]
        return constructor

    return dressed


class AsyncRun(BaseRun):
    """A run of an `AsyncLearner`: as `Run`, with `await`."""

    __slots__ = ()

    async def finish(
        self,
        *,
        metrics: Mapping[str, Any] | None = None,
        gates: Sequence[Mapping[str, Any]] | None = None,
        costs: Mapping[str, Any] | None = None,
        qav: Mapping[str, Any] | None = None,
        artifacts: Sequence[Mapping[str, Any]] | None = None,
        budget: Mapping[str, Any] | None = None,
        signals: Mapping[str, float | bool] | None = None,
        duration_milliseconds: float | None = None,
    ) -> None:
        """As `Run.finish`; cancelled, it has reported the run all the same."""
        outcome = Outcome(
            metrics=metrics,
            gates=gates,
            costs=costs,
            qav=qav,
            artifacts=artifacts,
            budget=budget,
            signals=signals,
            duration_milliseconds=duration_milliseconds,
        )
        await in_loop(self._running.finishing(outcome))

    async def fail(self, error: BaseException | str) -> None:
        """As `Run.fail`."""
        await in_loop(self._running.failing(error))

    async def __aenter__(self) -> Self:
        self._running.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await in_loop(self._running.leaving(error))


class AsyncLearner:
    """`Learner` for coroutines: whatever waits leaves the event loop free.

    Threads in the background do the talking, as for `Learner`; any number of loops and threads may
    share one. The first one in a process loads the HTTP library: make it before the loop serves.
    """

    @_with_arguments_of(Learner.__init__)
    def __init__(self, doer: str, **given: Any) -> None:
        """As `Learner`, with the same arguments.

        Raises:
            ValueError: an argument is missing or malformed.
        """
        self._learner = Learner(doer, **given)

    async def start(
        self, *, tenant: str | None = None, run_id: str | None = None, session: str | None = None
    ) -> AsyncRun:
        """Begin a run, as `Learner.start`. Cancelled, it withdraws the registration that it may
        have made: nobody ran with it."""
        steps = self._learner.starting(tenant=tenant, run_id=run_id, session=session)
        return AsyncRun(await in_loop(steps))

    @asynccontextmanager
    async def run(
        self, *, tenant: str | None = None, run_id: str | None = None, session: str | None = None
    ) -> AsyncIterator[AsyncRun]:
        """`async with learner.run() as run`: as `Learner.run`. A task that is cancelled in the
        block reports a failed run as well: it may have been cancelled for being slow."""
        async with await self.start(tenant=tenant, run_id=run_id, session=session) as run:
            yield run

    @overload
    def agent(self, function: _Agent[P, R], /) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def agent(
        self, function: None = None, /, *, tenant: Asked = None, session: Asked = None
    ) -> Callable[[_Agent[P, R]], Callable[P, Coroutine[Any, Any, R]]]: ...
    def agent(self, function: Any = None, /, *, tenant: Asked = None, session: Asked = None) -> Any:
        """Decorate a coroutine function, as `Learner.agent` does a plain one. The candidate of a
        shadow stage runs in the same loop, after the answer; it is left out where that has ended.

        Raises:
            TypeError: anything but a coroutine function.
        """
        if function is None:
            return lambda given: self._decorated(given, tenant=tenant, session=session)
        return self._decorated(function, tenant=tenant, session=session)

    def shadow(self, run: AsyncRun, call: Callable[[AsyncRun], Awaitable[object]]) -> None:
        """As `Learner.shadow`; `call` gives a coroutine, which this event loop runs. Where the loop
        has ended by then the candidate is left out."""
        loop = asyncio.get_running_loop()
        self._learner.shadowing(
            run.running,
            lambda again: run_in(loop, lambda: call(AsyncRun(again)), again),
            ready=lambda seconds: lives_on(loop, seconds=seconds),
        )

    async def flush(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109 - not a cancellation
        """As `Learner.flush`."""
        return await asyncio.to_thread(self._learner.flush, timeout)

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """As `Learner.close`; cancelled, it goes on to drain in the background."""
        await asyncio.to_thread(self._learner.close, timeout)

    def signal(
        self,
        run_id: str,
        name: str,
        value: float | bool,
        *,
        source: str = "",
        note: str = "",
        key: str | None = None,
        observed_at: datetime | None = None,
    ) -> None:
        """As `Learner.signal`; it never waits."""
        self._learner.signal(
            run_id, name, value, source=source, note=note, key=key, observed_at=observed_at
        )

    def withdraw(self, run: AsyncRun) -> None:
        """As `Learner.withdraw`."""
        self._learner.withdraw(run)

    def stats(self) -> dict[str, int | float | None]:
        """As `Learner.stats`."""
        return self._learner.stats()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _decorated(
        self, function: _Agent[P, R], *, tenant: Asked, session: Asked
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        check_coroutine(function)

        @wraps(function)
        async def answer(*args: P.args, **kwargs: P.kwargs) -> R:
            run = await self.start(**asked(tenant=tenant, session=session, call=(args, kwargs)))
            try:
                async with run:
                    return await function(run, *args, **kwargs)
            finally:
                # Also where control failed, or the candidate would be judged on its good days only.
                self.shadow(run, lambda again: function(again, *args, **kwargs))

        return answer


async def in_loop(steps: Steps[T]) -> T:
    """The result of the steps; where they wait, the event loop goes on."""
    try:
        while True:
            await _sit_out(next(steps))
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()  # cancelled: what the steps have begun, they give up


async def _sit_out(wait: Wait) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(done.set)

    wait.signal.listen(tell)
    try:
        async with asyncio.timeout(max(wait.seconds, 0.0)):
            await done.wait()
    except TimeoutError:
        pass  # the steps see for themselves that nothing came
    finally:
        wait.signal.forget(tell)

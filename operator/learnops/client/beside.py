"""Where the candidate beside a coroutine runs: in its agent's event loop, if that lives on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, wait
from threading import Event

from learnops.client import context
from learnops.client.running import Running

_MOMENT_SECONDS = 0.05
_LOOK_SECONDS = 0.5

Call = Callable[[], Awaitable[object]]
_End = SystemExit | asyncio.CancelledError | None


class _LoopEndedError(Exception):
    """The agent's loop has ended before the candidate."""


def lives_on(loop: asyncio.AbstractEventLoop, *, seconds: float) -> bool:
    """Whether the loop still runs a moment after it was asked, and says so within `seconds`: one
    that was made for a single call has ended by then. Called in a thread."""
    answered = Event()
    try:
        loop.call_soon_threadsafe(lambda: loop.call_later(_MOMENT_SECONDS, answered.set))
    except RuntimeError:  # it is closed
        return False
    end = time.monotonic() + seconds
    while loop.is_running() and time.monotonic() < end:
        if answered.wait(_MOMENT_SECONDS):
            return True
    return False


def run_in(loop: asyncio.AbstractEventLoop, call: Call, running: Running) -> None:
    """Run a candidate in the agent's loop, whose connections it uses; called in a thread.

    Where the loop ends first, it runs anew in one of its own: its pair is open already, and a
    candidate that is never told of counts as the worst.
    """
    try:
        ended = _in_that_of_the_agent(loop, call, running)
    except _LoopEndedError:
        if running.finished:
            return
        running.begin(time.monotonic())
        ended = asyncio.run(_beside(call, running))
    if ended is not None:
        raise ended


def _in_that_of_the_agent(loop: asyncio.AbstractEventLoop, call: Call, running: Running) -> _End:
    coroutine = _beside(call, running)
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        # A loop that is closed under its tasks tells nobody.
        while not wait([future], timeout=_LOOK_SECONDS).done:
            if loop.is_closed():
                future.cancel()
    except RuntimeError as error:
        coroutine.close()
        raise _LoopEndedError from error
    try:
        return future.result()
    except CancelledError as error:
        coroutine.close()  # it may never have begun
        raise _LoopEndedError from error


async def _beside(call: Call, running: Running) -> _End:
    """What it ended with, where that would end a loop or could be taken for the loop's own end."""
    context.enter(running)  # in this task's own context
    try:
        await call()
    except SystemExit as error:
        return error  # raised by a task, it would end the agent's loop
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # as asyncio.run does it with all that is left
        return error  # of something that the candidate itself has cancelled
    return None

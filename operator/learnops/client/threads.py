"""Threads of the SDK: one that cannot start is counted, never raised into the agent, and one that
has started does not end before its work does."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event, Thread

from learnops.client.backoff import Backoff
from learnops.client.telemetry import Telemetry

_MOST_SECONDS = 1.0  # a learner that closes does not wait much longer for its threads


def start_thread(target: Callable[[], None], *, name: str, telemetry: Telemetry) -> Thread | None:
    """A started daemon thread; None where none can start now, and the caller tries again later.

    `target` is a loop that can be entered again: where it is broken off, it is, after a while.
    """
    whole = partial(_to_its_end, target, name=name, telemetry=telemetry)
    thread = Thread(target=whole, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        # At the limit of threads, or while the interpreter shuts down.
        telemetry.count("thread_errors")
        telemetry.warn(name, "thread %s cannot start: %s; tried again later", name, error)
        return None
    telemetry.forget(name)
    return thread


def survived(error: BaseException, *, name: str, telemetry: Telemetry) -> None:
    """Count what a loop should never have raised: without it, it would be silent for ever.

    Only the type is logged, as the message may hold what an agent reported, or a secret.
    """
    telemetry.count("loop_errors")
    kind = type(error).__name__
    # Also a log handler of the agent's may raise anything: in this thread it ends nothing.
    with suppress(BaseException):
        telemetry.warn(f"loop {name} {kind}", "thread %s goes on after a bug: %s", name, kind)


def _to_its_end(target: Callable[[], None], *, name: str, telemetry: Telemetry) -> None:
    backoff = Backoff(most_seconds=_MOST_SECONDS)
    while True:
        try:
            target()
            return
        except BaseException as error:  # noqa: BLE001 - a queue worker: dead, it would do nothing.
            # SystemExit and KeyboardInterrupt too, which outside of the main thread end nothing.
            survived(error, name=name, telemetry=telemetry)
        Event().wait(backoff.seconds())

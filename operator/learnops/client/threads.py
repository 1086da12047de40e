"""Threads of the SDK: one that cannot start is counted, never raised into the agent."""

from collections.abc import Callable
from threading import Thread

from learnops.client.telemetry import Telemetry


def start_thread(target: Callable[[], None], *, name: str, telemetry: Telemetry) -> Thread | None:
    """A started daemon thread; None where none can start now, and the caller tries again later."""
    thread = Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        # At the limit of threads, or while the interpreter shuts down.
        telemetry.count("thread_errors")
        telemetry.warn(name, "thread %s cannot start: %s; tried again later", name, error)
        return None
    telemetry.forget(name)
    return thread

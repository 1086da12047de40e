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


def survived(error: Exception, *, name: str, telemetry: Telemetry) -> None:
    """Count what a loop should never have raised: without it, it would be silent for ever.

    Only the type is logged, as the message may hold what an agent reported, or a secret.
    """
    telemetry.count("loop_errors")
    kind = type(error).__name__
    telemetry.warn(f"loop {name} {kind}", "thread %s goes on after a bug: %s", name, kind)

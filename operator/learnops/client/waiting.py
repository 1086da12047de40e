"""What a start has to wait for, told so that a thread and a coroutine can both wait for it.

The steps of a start are a generator of `Wait`s: the decisions stand there once, and only who sits
out the waits differs (`in_thread` here, `in_loop` in `aio`).
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from threading import TIMEOUT_MAX, Lock, RLock
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

_SLICE_SECONDS = 0.2


class Signal:
    """Something that happens once, in whatever thread. Thread-safe, and safe in a signal handler:
    a thread that waits holds nothing that another one, or its own handler, needs (an Event does).
    """

    __slots__ = ("_gate", "_happened", "_listeners", "_lock")

    def __init__(self) -> None:
        self._happened = False
        self._gate = Lock()  # closed until it happened
        self._gate.acquire()
        self._lock = RLock()
        self._listeners: list[Callable[[], object]] = []

    def set(self) -> None:
        """It happened; what listens is called in this thread. Again: nothing."""
        with self._lock:
            if self._happened:
                return
            self._happened = True
            listeners, self._listeners = self._listeners, []
        self._gate.release()
        for listener in listeners:
            listener()

    @property
    def happened(self) -> bool:
        """Whether it has."""
        return self._happened

    def wait(self, timeout: float) -> None:
        """Block until it happened, `timeout` seconds at most."""
        if not self._happened and self._gate.acquire(timeout=min(max(timeout, 0.0), TIMEOUT_MAX)):
            self._gate.release()  # for the next who waits

    def listen(self, listener: Callable[[], object]) -> None:
        """Call `listener`, which must not block or raise, when it happens; now if it has."""
        with self._lock:
            if not self._happened:
                self._listeners.append(listener)
                return
        listener()

    def forget(self, listener: Callable[[], object]) -> None:
        """Listen no more."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Wait for `signal`, `seconds` at most; whether it came, the steps find out themselves."""

    signal: Signal
    seconds: float


Steps = Generator[Wait, None, T]


def in_thread(steps: Steps[T]) -> T:
    """The result of the steps, with this thread blocked where they wait."""
    try:
        while True:
            wait = next(steps)  # ends at once where nothing has to be waited for
            wait.signal.wait(wait.seconds)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        # Also where a signal handler raised meanwhile: the steps clean up behind themselves.
        steps.close()


def in_slices(
    steps: Steps[T], *, over: Callable[[], bool], until: float = inf, least: float = 0.0
) -> T | None:
    """As `in_thread`, but None, soon after `over` says that nobody waits any more.

    All waits together end `until` then (monotonic seconds), but each may take `least` seconds.
    """
    try:
        while True:
            wait = next(steps)
            now = monotonic()
            end = now + min(wait.seconds, max(until - now, least))
            while not (over() or wait.signal.happened) and (left := end - monotonic()) > 0.0:
                wait.signal.wait(min(left, _SLICE_SECONDS))
            if over():
                return None
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        steps.close()  # what they have begun, they give up

"""Things that must reach the api: a bounded buffer, batches, and tries until acknowledged."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Generic, TypeVar

from learnops.client.backoff import Backoff
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread

T = TypeVar("T")

_MAX_BATCH_BYTES = 8 * 2**20
_CLOSING_WAIT_SECONDS = 0.25
_FAILING_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Not stored; try again, after the seconds that the server asked for if it did."""

    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Something failed on this request: try again, but not for ever, as one item may be why."""

    reason: str
    after: float | None = None


class Delivered:
    """Stored, or refused for good: done with either way."""


class Split:
    """The request as a whole was refused: try its halves, so that one bad item stands alone."""


Verdict = Delivered | Split | Retry | Failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of an outbox: of a batch, and of all that waits."""

    batch: int
    linger_seconds: float
    items: int
    bytes: int


class Outbox(Generic[T]):
    """Delivers items in the background, in order, by one thread that starts with the first item.

    `deliver` gets a batch and says what became of it; `refused` gets an item that was refused when
    it stood alone, `failed` one that failed each time when it stood alone, and why. Thread-safe.
    """

    def __init__(
        self,
        *,
        name: str,
        deliver: Callable[[Sequence[T]], Verdict],
        refused: Callable[[T], None],
        failed: Callable[[T, str], None],
        size: Callable[[T], int],
        limits: Limits,
        telemetry: Telemetry,
        backoff: Backoff | None = None,
    ) -> None:
        self._name = name
        self._telemetry = telemetry
        self._deliver = deliver
        self._refused = refused
        self._failed = failed
        self._size = size
        self._limits = limits
        self._buffer: deque[T] = deque()
        self._bytes = 0
        self._under_way = 0
        self._lost = 0
        self._flushing = 0
        self._closing = False
        self._give_up_at: float | None = None
        self._changed = Condition()
        self._backoff = backoff or Backoff()
        self._thread: Thread | None = None

    def put(self, item: T) -> bool:
        """Queue an item; False if the buffer is full or closed."""
        size = self._size(item)
        with self._changed:
            full = (
                len(self._buffer) + self._under_way >= self._limits.items
                or self._bytes + size > self._limits.bytes
            )
            if self._closing or full:
                return False
            self._buffer.append(item)
            self._bytes += size
            self._ensure_thread()
            self._changed.notify_all()
        return True

    def waiting(self) -> int:
        """Items that are not acknowledged yet."""
        with self._changed:
            return len(self._buffer) + self._under_way

    def flush(self, timeout: float) -> bool:
        """Send what is there without waiting for a full batch; True once all is acknowledged."""
        with self._changed:
            self._ensure_thread()
            self._flushing += 1
            self._changed.notify_all()
            done = self._changed.wait_for(self._is_empty, timeout=max(timeout, 0.0))
            self._flushing -= 1
            return done

    def close(self, timeout: float) -> int:
        """Take nothing more and drain for `timeout` seconds; how many items were left behind."""
        with self._changed:
            self._closing = True
            self._give_up_at = time.monotonic() + max(timeout, 0.0)
            self._ensure_thread()
            self._changed.notify_all()
            if self._thread is not None:
                self._changed.wait_for(self._is_empty, timeout=max(timeout, 0.0))
            return len(self._buffer) + self._under_way + self._lost

    def join(self, timeout: float) -> None:
        """Wait for the thread's end after `close`."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _ensure_thread(self) -> None:
        if self._thread is None and self._buffer:
            self._thread = start_thread(self._loop, name=self._name, telemetry=self._telemetry)

    def _is_empty(self) -> bool:
        return not self._buffer and not self._under_way

    def _loop(self) -> None:
        while batch := self._take():
            lost = self._send(batch)
            with self._changed:
                self._lost += lost
                self._bytes -= sum(self._size(item) for item in batch)
                self._under_way = 0
                self._changed.notify_all()

    def _take(self) -> list[T]:
        """The next batch; empty when closed and drained, or when the time to drain is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._closing)
            if not self._buffer or self._is_over():
                return []
            self._changed.wait_for(self._is_due, timeout=self._limits.linger_seconds)
            batch: list[T] = []
            size = 0
            while self._buffer and len(batch) < self._limits.batch:
                size += self._size(self._buffer[0])
                if batch and size > _MAX_BATCH_BYTES:
                    break
                batch.append(self._buffer.popleft())
            self._under_way = len(batch)
            return batch

    def _is_due(self) -> bool:
        return len(self._buffer) >= self._limits.batch or self._closing or self._flushing > 0

    def _send(self, batch: Sequence[T]) -> int:
        """Deliver a batch; how many items of it were given up, as the time to drain was over."""
        parts = [batch]
        failures = 0  # of the part that is next
        while parts and not self._is_over():
            verdict = self._deliver(parts[-1])
            if isinstance(verdict, Failing):
                failures += 1
                if failures == _FAILING_TRIES:
                    parts.extend(self._narrow(parts.pop(), reason=verdict.reason))
                    failures = 0
            if isinstance(verdict, Retry | Failing):
                # Also before a half: where the api fails on everything, little must be given up.
                self._pause(self._backoff.seconds(retry_after=verdict.after))
                continue
            self._backoff.reset()
            failures = 0
            part = parts.pop()
            if isinstance(verdict, Split):
                parts.extend(self._split(part))
        return sum(len(part) for part in parts)

    def _narrow(self, part: Sequence[T], *, reason: str) -> list[Sequence[T]]:
        if len(part) == 1:
            self._failed(part[0], reason)
            return []
        return _halves(part)

    def _split(self, part: Sequence[T]) -> list[Sequence[T]]:
        if len(part) == 1:
            self._refused(part[0])
            return []
        return _halves(part)

    def _pause(self, seconds: float) -> None:
        """Wait before the next try; a learner that closes tries sooner and more often."""
        with self._changed:
            if self._closing:
                seconds = min(seconds, _CLOSING_WAIT_SECONDS)
                self._changed.wait_for(self._is_over, timeout=seconds)
            else:
                self._changed.wait_for(lambda: self._closing, timeout=seconds)

    def _is_over(self) -> bool:
        return self._give_up_at is not None and time.monotonic() >= self._give_up_at


def _halves(part: Sequence[T]) -> list[Sequence[T]]:
    """The first half last: it is the next to be taken."""
    middle = len(part) // 2
    return [part[middle:], part[:middle]]

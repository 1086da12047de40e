"""Things that must reach the api: a bounded buffer, batches, and tries until acknowledged."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Generic, TypeVar

from learnops.client.backoff import Backoff
from learnops.client.delivery import Broken, Delivered, Delivery, Failing, Retry, Split
from learnops.client.part import Part
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread, survived

__all__ = ["Broken", "Delivered", "Delivery", "Failing", "Limits", "Outbox", "Retry", "Split"]

T = TypeVar("T")

_MAX_BATCH_BYTES = 8 * 2**20
_CLOSING_WAIT_SECONDS = 0.25
_FAILING_TRIES = 4
_BROKEN_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of an outbox: of a batch, and of all that waits."""

    batch: int
    linger_seconds: float
    items: int
    bytes: int


class Outbox(Generic[T]):
    """Delivers items in the background by one thread that starts with the first item, in order
    but for those that fail.

    `deliver` gets a batch and says what became of it; `refused` gets an item that was refused when
    it stood alone, `failed` one that failed each time when it stood alone, and why. `settled` gets
    all that is done with, whatever became of it. `upstream` is how many items are still to come
    from whoever feeds it, who calls `poke` when that changes. Thread-safe.
    """

    def __init__(
        self,
        *,
        name: str,
        deliver: Callable[[Sequence[T]], Delivery],
        refused: Callable[[T, str], None],
        failed: Callable[[T, str], None],
        size: Callable[[T], int],
        limits: Limits,
        telemetry: Telemetry,
        backoff: Backoff | None = None,
        settled: Callable[[Sequence[T]], None] = lambda _: None,
        upstream: Callable[[], int] = lambda: 0,
    ) -> None:
        self._name = name
        self._telemetry = telemetry
        self._deliver = deliver
        self._refused = refused
        self._failed = failed
        self._size = size
        self._limits = limits
        self._settled = settled
        self._upstream = upstream
        self._buffer: deque[T] = deque()
        self._bytes = 0
        self._under_way: list[T] = []
        self._lost: list[T] = []
        self._batches = 0  # that were delivered
        # Items that broke off alone, by identity: how often, and how many batches went through.
        self._broken: dict[int, tuple[int, int]] = {}
        self._flushing = 0
        self._closing = False
        self._give_up_at: float | None = None
        self._changed = Condition()
        self._backoff = backoff or Backoff()
        self._thread: Thread | None = None

    def put(self, item: T, *, force: bool = False) -> bool:
        """Queue an item; False if the buffer is full or closed, unless it is forced."""
        size = self._size(item)
        with self._changed:
            if not force and (self._closing or not self._fits(1, size)):
                return False
            self._buffer.append(item)
            self._bytes += size
            self._ensure_thread()
            self._changed.notify_all()
        return True

    def hungry(self) -> bool:
        """Whether less than a batch is here."""
        return self.waiting() < min(self._limits.batch, self._limits.items)

    def room(self, items: int, size: int) -> bool:
        """Whether so many items of so many bytes more are within the bounds, or it is empty."""
        with self._changed:
            return self._fits(items, size) or not (self._buffer or self._under_way)

    def poke(self) -> None:
        """`upstream` has changed."""
        with self._changed:
            self._changed.notify_all()

    def waiting(self) -> int:
        """Items that are not acknowledged yet."""
        with self._changed:
            return len(self._buffer) + len(self._under_way)

    def items(self) -> list[T]:
        """Those that are not acknowledged yet."""
        with self._changed:
            return [*self._under_way, *self._buffer]

    def flush(self, timeout: float) -> bool:
        """Send what is there without waiting for a full batch; True once all is acknowledged."""
        with self._changed:
            self._ensure_thread()
            self._flushing += 1
            self._changed.notify_all()
            done = self._changed.wait_for(self._is_empty, timeout=max(timeout, 0.0))
            self._flushing -= 1
            return done

    def close(self, timeout: float) -> list[T]:
        """Take nothing more and drain for `timeout` seconds; the items that were left behind."""
        with self._changed:
            self._closing = True
            self._give_up_at = time.monotonic() + max(timeout, 0.0)
            self._ensure_thread()
            self._changed.notify_all()
            if self._thread is not None or self._upstream():
                self._changed.wait_for(self._is_empty, timeout=max(timeout, 0.0))
            self._give_up_at = time.monotonic()
            self._changed.notify_all()
            return [*self._lost, *self._under_way, *self._buffer]

    def join(self, timeout: float) -> None:
        """Wait for the thread's end after `close`."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _ensure_thread(self) -> None:
        if self._thread is None and self._buffer:
            self._thread = start_thread(self._loop, name=self._name, telemetry=self._telemetry)

    def _fits(self, items: int, size: int) -> bool:
        held = len(self._buffer) + len(self._under_way)
        return held + items <= self._limits.items and self._bytes + size <= self._limits.bytes

    def _is_empty(self) -> bool:
        return not (self._buffer or self._under_way or self._upstream())

    def _loop(self) -> None:
        while batch := self._take():
            lost = self._send(batch)
            with self._changed:
                self._lost += lost
                self._let_go(lost)

    def _take(self) -> list[T]:
        """The next batch; empty when closed and drained, or when the time to drain is over."""
        with self._changed:
            if self._under_way:  # something broke the loop off in the middle of it
                return list(self._under_way)
            self._changed.wait_for(lambda: self._buffer or self._is_done())
            if not self._buffer or self._is_over():
                return []
            self._changed.wait_for(self._is_due, timeout=self._limits.linger_seconds)
            self._under_way = self._next_batch()
            return list(self._under_way)

    def _next_batch(self) -> list[T]:
        batch: list[T] = []
        size = 0
        while self._buffer and len(batch) < self._limits.batch:
            size += self._size(self._buffer[0])
            if batch and (size > _MAX_BATCH_BYTES or self._is_alone(batch[-1], self._buffer[0])):
                break
            batch.append(self._buffer.popleft())
        return batch

    def _is_alone(self, *items: T) -> bool:
        """What broke off once holds up no others again."""
        return any(id(item) in self._broken for item in items)

    def _is_done(self) -> bool:
        return self._closing and (not self._upstream() or self._is_over())

    def _is_due(self) -> bool:
        return len(self._buffer) >= self._limits.batch or self._closing or self._flushing > 0

    def _send(self, batch: Sequence[T]) -> list[T]:
        """Deliver a batch; the items of it that were left, as the time to drain was over."""
        parts = deque([Part(batch)])
        while parts and not self._is_over():
            part = parts.popleft()
            delivery = self._tried(part.items)
            if isinstance(delivery, Failing | Broken):
                # The other parts first: they show whether it is this one.
                parts.extend(self._failing(part, delivery))
            elif isinstance(delivery, Retry):
                parts.appendleft(part)
            else:
                self._backoff.reset()
                parts.extendleft(self._conclude(part, delivery))
            if isinstance(delivery, Retry | Failing | Broken):
                # Also before a half: where the api fails on everything, little must be given up.
                seconds = self._backoff.seconds(retry_after=delivery.after)
                self._pause(seconds, asked=delivery.after is not None)
        return [item for part in parts for item in part.items]

    def _tried(self, items: Sequence[T]) -> Delivery:
        try:
            return self._deliver(items)
        except BaseException as error:  # noqa: BLE001 - a queue worker: dead, it would deliver none
            survived(error, name=self._name, telemetry=self._telemetry)
            # As if the answer had broken off: given up is only what fails while others go through.
            return Broken(reason=type(error).__name__)

    def _conclude(self, part: "Part[T]", delivery: Delivered | Split) -> "list[Part[T]]":
        """What of it is still to be sent, the last first."""
        if isinstance(delivery, Delivered):
            self._batches += 1
        elif len(part.items) > 1:
            return part.halves()[::-1]
        else:
            self._tell(lambda: self._refused(part.items[0], delivery.reason))
        self._settle(part.items)
        return []

    def _failing(self, part: "Part[T]", delivery: Failing | Broken) -> "list[Part[T]]":
        """What of it is still to be sent, after all others."""
        part.failures += 1
        if part.failures < _FAILING_TRIES:
            return [part]
        if len(part.items) > 1:
            return part.halves()
        item = part.items[0]
        if isinstance(delivery, Broken) and self._rounds(item) < _BROKEN_ROUNDS:
            self._put_back(item)
        else:
            self._tell(lambda: self._failed(item, delivery.reason))
            self._settle(part.items)
        return []

    def _rounds(self, item: T) -> int:
        """How often it broke off alone, counted anew only where others went through since."""
        rounds, batches = self._broken.get(id(item), (0, -1))
        if self._batches > batches:
            rounds += 1
        self._broken[id(item)] = rounds, self._batches
        return rounds

    def _put_back(self, item: T) -> None:
        """Let the others pass, who will show whether it is the item."""
        with self._changed:
            self._under_way.remove(item)
            self._buffer.append(item)

    def _settle(self, part: Sequence[T]) -> None:
        for item in part if self._broken else ():
            self._broken.pop(id(item), None)
        self._tell(lambda: self._settled(part))
        with self._changed:
            self._let_go(part)

    def _let_go(self, items: Sequence[T]) -> None:
        gone = {id(item) for item in items}
        self._under_way = [item for item in self._under_way if id(item) not in gone]
        self._bytes -= sum(self._size(item) for item in items)
        self._changed.notify_all()

    def _tell(self, tell: Callable[[], None]) -> None:
        """What is told of an item must not cost the others."""
        try:
            tell()
        except BaseException as error:  # noqa: BLE001 - a queue worker: dead, it would deliver none
            survived(error, name=self._name, telemetry=self._telemetry)

    def _pause(self, seconds: float, *, asked: bool) -> None:
        """Wait before the next try; a learner that closes tries sooner and more often, unless it
        was the server that asked for the time."""
        with self._changed:
            if asked:
                self._changed.wait_for(self._is_over, timeout=seconds)
            elif self._closing:
                seconds = min(seconds, _CLOSING_WAIT_SECONDS)
                self._changed.wait_for(self._is_over, timeout=seconds)
            else:
                self._changed.wait_for(lambda: self._closing, timeout=seconds)

    def _is_over(self) -> bool:
        return self._give_up_at is not None and time.monotonic() >= self._give_up_at

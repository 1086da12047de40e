"""The keyed work queue: one entry per key, one worker per key, back-off per key.

The queue itself is synchronous and reads time from an injected clock; `workers.Workers` waits.
Its laws: a key waits at most once; a key that is being worked on is never handed out again before
`done`, and is handed out once more afterwards if it was added meanwhile; no added key is lost; a
failing key waits longer and longer while the others go on.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from learnops.domain.backoff import Delays

K = TypeVar("K")
_DELAYS: Final = Delays(first_seconds=0.1, most_seconds=60.0)


@dataclass
class WorkQueue(Generic[K]):
    """Keys that need work. `monotonic` gives seconds, `chance` random numbers in [0, 1).

    `changed` is called whenever an earlier wake-up may be due than a waiter knows of.
    """

    monotonic: Callable[[], float]
    chance: Callable[[], float]
    delays: Delays = _DELAYS
    changed: Callable[[], None] = lambda: None
    _ready: dict[K, float] = field(default_factory=dict)  # key -> ready since; insertion order
    _active: dict[K, float] = field(
        default_factory=dict
    )  # key -> ready since, kept while worked on
    _again: set[K] = field(default_factory=set)  # added while active
    _due: dict[K, float] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _count: int = 0
    _failures: dict[K, int] = field(default_factory=dict)
    _not_before: dict[K, float] = field(default_factory=dict)

    def add(self, key: K) -> None:
        """Ask for work on `key` as soon as a worker is free, and as `retry` allows it."""
        held = self._not_before.get(key, 0.0) - self.monotonic()
        if held > 0:
            self.add_after(key, seconds=held)
            return
        self._not_before.pop(key, None)
        self._due.pop(key, None)
        if key in self._active:
            self._again.add(key)
            return
        self._ready.setdefault(key, self.monotonic())
        self.changed()

    def add_after(self, key: K, *, seconds: float) -> None:
        """Ask for work on `key` in `seconds`; the earliest of several wishes counts."""
        if seconds <= 0:
            self.add(key)
            return
        due = self.monotonic() + seconds
        if key in self._ready or self._due.get(key, due + 1.0) <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        self.changed()

    def retry(self, key: K, *, not_before: float = 0.0) -> float:
        """The work on `key` failed: ask again after its back-off, whose seconds are returned.

        For `not_before` seconds nothing brings the key back, not even news of it: a server that
        says when to come back is not asked sooner.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = max(self.delays.after(failures, chance=self.chance()), not_before)
        if not_before > 0:
            self._not_before[key] = self.monotonic() + not_before
        self.add_after(key, seconds=seconds)
        return seconds

    def forget(self, key: K) -> None:
        """The work on `key` succeeded: its next failure is its first."""
        self._failures.pop(key, None)

    def take(self) -> K | None:
        """The key that is ready for the longest time, now active; None: nothing is ready."""
        self._promote_due()
        key = next(iter(self._ready), None)
        if key is not None:
            self._active[key] = self._ready.pop(key)
        return key

    def done(self, key: K) -> None:
        """The worker has finished with `key`, well or not."""
        del self._active[key]
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        self.changed()

    def seconds_until_due(self) -> float | None:
        """How long until a waiting key becomes ready; 0 when one is, None when none waits."""
        self._promote_due()
        if self._ready:
            return 0.0
        return max(self._heap[0][0] - self.monotonic(), 0.0) if self._heap else None

    def depth(self) -> int:
        """Keys that are ready or being worked on."""
        return len(self._ready) + len(self._active)

    def oldest_seconds(self) -> float:
        """How long the oldest key has been ready or worked on; 0 when there is none.

        A key that waits for its back-off does not age: waiting is what it should do.
        """
        since = min([*self._ready.values(), *self._active.values()], default=None)
        return 0.0 if since is None else self.monotonic() - since

    def _promote_due(self) -> None:
        now = self.monotonic()
        while self._heap and self._is_past(self._heap[0], now):
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                # Over, also where `add` only puts it off: a wish that stays would block the next.
                del self._due[key]
                self.add(key)

    def _is_past(self, entry: tuple[float, int, K], now: float) -> bool:
        due, _, key = entry
        return due <= now or self._due.get(key) != due  # superseded entries are dropped too

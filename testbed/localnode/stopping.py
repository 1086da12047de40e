"""When a pod's process is to be asked to end, and when to be killed."""

import dataclasses
import math
import threading
import time


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Ask:
    at: float  # monotonic seconds
    grace: float
    reason: str


class Stopping:
    """Collects the reasons to end a process; safe to call from several threads.

    Of several asks the earliest counts for SIGTERM and the earliest end of grace for SIGKILL.
    """

    def __init__(self) -> None:
        self._asks: list[_Ask] = []
        self._silent = False
        self._changed = threading.Event()

    def ask(self, reason: str, *, grace_seconds: float) -> None:
        """End it now, with a grace; ``reason`` is the pod's in the end, empty for a deletion."""
        self.ask_in(0, reason, grace_seconds=grace_seconds)

    def ask_in(self, seconds: float, reason: str, *, grace_seconds: float) -> None:
        """End it in so many seconds."""
        at = time.monotonic() + seconds
        if not any(a.reason == reason and a.at + a.grace <= at + grace_seconds for a in self._asks):
            self._asks.append(_Ask(at=at, grace=grace_seconds, reason=reason))
        self.wake()

    def at_once(self) -> None:
        """Kill it now and tell nobody."""
        self._silent = True
        self.ask("", grace_seconds=0)

    @property
    def silent(self) -> bool:
        """Whether nobody is to be told."""
        return self._silent

    @property
    def due(self) -> bool:
        """Whether it is to be asked to end."""
        return self._first() <= time.monotonic()

    @property
    def overdue(self) -> bool:
        """Whether it is to be killed."""
        return self._silent or self._last() <= time.monotonic()

    @property
    def reason(self) -> str:
        """The reason of the ask that came due first; empty if none has or for a deletion."""
        first = min(self._asks, key=lambda ask: ask.at, default=None)
        return first.reason if first is not None and first.at <= time.monotonic() else ""

    def wait(self, seconds: float) -> None:
        """Wait for a change, for the next instant that counts, or for ``seconds``."""
        now = time.monotonic()
        instants = [instant - now for instant in (self._first(), self._last()) if instant > now]
        self._changed.wait(min([seconds, *instants]))
        self._changed.clear()

    def wake(self) -> None:
        """End a `wait`."""
        self._changed.set()

    def _first(self) -> float:
        return min((ask.at for ask in self._asks), default=math.inf)

    def _last(self) -> float:
        return min((ask.at + ask.grace for ask in self._asks), default=math.inf)

"""What the SDK tells about itself: counters, and a log that does not repeat itself."""

import logging
from threading import RLock

_MAX_KEYS = 256

log = logging.getLogger("learnops.client")


class Telemetry:
    """Counters by name, and warnings that are logged once per key. Thread-safe."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """As new: in a forked child, whose parent may have been counting in another thread."""
        self._lock = RLock()  # a signal handler may count in the midst of counting
        self._counts: dict[str, int] = {}
        self._warned: set[str] = set()

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount

    def counts(self) -> dict[str, int]:
        """A copy of all counters that ever moved."""
        with self._lock:
            return dict(self._counts)

    def warn(self, key: str, message: str, *values: object) -> None:
        """Log a warning, the first time for this key only (a dead api must not flood a log)."""
        with self._lock:
            if key in self._warned or len(self._warned) >= _MAX_KEYS:
                return
            self._warned.add(key)
        try:
            log.warning(message + " (logged once; see Learner.stats)", *values)
        except Exception:  # noqa: BLE001 - a handler or filter of the agent's, and it must go on
            self.count("log_errors")

    def forget(self, key: str) -> None:
        """What this key warned of is over; the next time is news again."""
        with self._lock:
            self._warned.discard(key)

"""The dead-man switch: how long the operator's Lease still vouches for what it last decided."""

from datetime import datetime
from typing import Any

from learnops.ports.clock import Clock


class Heartbeat:
    """Watches one Lease. A sink for the reflector.

    The age of the last renewal is judged by when this process saw the record change, on its
    monotonic clock: clocks of two machines are never compared, but for the first sight, when there
    is nothing else to go by; there the age is kept between 0 and the whole time to live.
    """

    def __init__(self, *, clock: Clock, ttl_seconds: float | None) -> None:
        self._clock = clock
        self._ttl = ttl_seconds
        self._record: tuple[Any, ...] | None = None
        self._changed_at = 0.0

    def remaining(self) -> float | None:
        """Seconds left, 0 when ended or no Lease was ever seen; None: the switch is turned off."""
        if self._ttl is None:
            return None
        if self._record is None:
            return 0.0
        return max(0.0, self._ttl - (self._clock.monotonic() - self._changed_at))

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """The Lease, or none; a Lease that is gone renews nothing."""
        for item in objects:
            self.put(item)

    def put(self, item: dict[str, Any]) -> None:
        """A renewal, if the record changed."""
        spec = item.get("spec") or {}
        names = ("holderIdentity", "renewTime", "acquireTime", "leaseTransitions")
        record = tuple(spec.get(name) for name in names)
        if record == self._record or not spec.get("holderIdentity"):
            return
        first = self._record is None
        self._record = record
        age = self._first_age(spec.get("renewTime")) if first else 0.0
        self._changed_at = self._clock.monotonic() - age

    def drop(self, item: dict[str, Any]) -> None:
        """A deleted Lease renews nothing: the time goes on from the last renewal."""

    def _first_age(self, renewed: object) -> float:
        ttl = self._ttl or 0.0
        try:
            at = datetime.fromisoformat(str(renewed))
            age = (self._clock.now() - at).total_seconds()
        except (TypeError, ValueError):
            return ttl
        return min(max(age, 0.0), ttl)

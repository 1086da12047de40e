"""The dead-man switch: how long the operator's Lease still vouches for what it last decided."""

from datetime import datetime
from typing import Any, Final

from learnops.ports.clock import Clock

# Two clocks drift apart by less: the kernel slews one by at most half of it.
_DRIFT: Final = 0.001


class Heartbeat:
    """Watches one Lease. A sink for the reflector.

    A renewal is as old as its delivery was late, and later ones age on the monotonic clock. How
    late a delivery was is told by the holder's own clock: what lies between two of its renewals,
    against what passed here between the two sights. The fastest delivery so far is taken as one
    without delay. Clocks of two machines are compared only where there is no such history, at the
    first sight of a holder; there the age is kept between 0 and the whole time to live.
    """

    def __init__(self, *, clock: Clock, ttl_seconds: float | None) -> None:
        self._clock = clock
        self._ttl = ttl_seconds
        self._holder: str | None = None
        self._told = 0.0  # the holder's last renewal, by its own clock
        self._offset = 0.0  # this process's monotonic clock less the holder's, at its smallest
        self._seen_at = 0.0
        self._renewed_at: float | None = None  # on the monotonic clock

    def remaining(self) -> float | None:
        """Seconds left, 0 when ended or no Lease was ever seen; None: the switch is turned off."""
        if self._ttl is None:
            return None
        if self._renewed_at is None:
            return 0.0
        return max(0.0, self._ttl - (self._clock.monotonic() - self._renewed_at))

    def age(self) -> float | None:
        """Seconds since the last renewal, also with the switch turned off; None: none was seen."""
        return None if self._renewed_at is None else self._clock.monotonic() - self._renewed_at

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """The Lease, or none; a Lease that is gone renews nothing."""
        for item in objects:
            self.put(item)

    def put(self, item: dict[str, Any]) -> None:
        """A renewal, if the holder's time moved on."""
        spec = item.get("spec") or {}
        holder, told = spec.get("holderIdentity"), _seconds(spec.get("renewTime"))
        if not holder or told is None or (holder == self._holder and told == self._told):
            return
        now = self._clock.monotonic()
        if holder != self._holder:
            self._renewed_at = self._first(told, now=now)
            self._offset = now - told
        elif told < self._told:
            # An old record, or the holder's clock was set back: no renewal, but the next is
            # measured from here.
            self._offset = now - told
        else:
            self._offset = min(self._offset + _DRIFT * (now - self._seen_at), now - told)
            self._renewed_at = max(self._renewed_at or 0.0, told + self._offset)
        self._holder, self._told, self._seen_at = str(holder), told, now

    def drop(self, item: dict[str, Any]) -> None:
        """A deleted Lease renews nothing: the time goes on from the last renewal."""

    def _first(self, told: float, *, now: float) -> float:
        """When a holder's first record was written: not before what the last holder vouched for."""
        age = min(max(self._clock.now().timestamp() - told, 0.0), self._ttl or 0.0)
        return now - age if self._renewed_at is None else max(self._renewed_at, now - age)


def _seconds(text: object) -> float | None:
    """A renewal's time as seconds, None for what is no time with its zone."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return None if at.tzinfo is None else at.timestamp()

"""`/health`: what each part of the api was last seen to be. Nothing is asked for it.

The loops that run anyway leave behind what they found and when; so the answer takes no time, also
while a part hangs, and whoever asks often costs nothing. No name, address or message from outside
is in it: it is open (docs/adr/0021).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from learnops.ports.clock import Clock
from learnops.server.batching import Queue
from learnops.server.heartbeat import Heartbeat
from learnops.server.reviews import Reviews
from learnops.server.tracker import DatabaseGate

# A watch ends by itself after 45 s and begins again: no healthy one is silent for twice that.
STALE_SECONDS: Final = 90.0
# The operator renews every few seconds; a Lease is given up after 15.
LATE_SECONDS: Final = 30.0
# The gate looks every second, and a look takes 3 s at most.
_UNSEEN_SECONDS: Final = 10.0
_BUSY: Final = 0.8


class State(StrEnum):
    """Of a component, and of all: the worst of them."""

    OK = "ok"
    DEGRADED = "degraded"  # it works, but somebody should look
    DOWN = "down"  # requests are refused for it


@dataclass(kw_only=True)
class Watches:
    """The watches of one process: by kind, and whether each has listed once."""

    synced: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    silent: Mapping[str, Callable[[], float | None]] = field(default_factory=dict)

    def age_seconds(self) -> float | None:
        """Of what was last heard of the one heard of least; None: of one nothing was heard yet."""
        ages = [silent() for silent in self.silent.values()]
        known = [age for age in ages if age is not None]
        return max(known) if known and len(known) == len(ages) else None

    def listed(self) -> bool:
        """Whether all have."""
        return bool(self.synced) and all(synced() for synced in self.synced.values())


@dataclass(frozen=True, kw_only=True)
class Health:
    """Everything that is looked at. `started` is on the clock's monotonic scale."""

    clock: Clock
    started: float
    version: str
    gate: DatabaseGate
    heartbeat: Heartbeat
    watches: Watches
    reviews: Reviews
    queues: Mapping[str, Queue]

    def report(self) -> tuple[State, dict[str, Any]]:
        """The worst state, and the body."""
        parts = {
            "database": self._database(),
            "operator": self._operator(),
            "kubernetes": self._kubernetes(),
            "access": self._access(),
            "queues": self._queues(),
        }
        order = list(State)
        worst = max((state for state, _told in parts.values()), key=order.index)
        uptime = self.clock.monotonic() - self.started
        components = {name: {"status": state, **told} for name, (state, told) in parts.items()}
        body = {
            "status": worst,
            "version": self.version,
            "uptimeSeconds": _rounded(uptime),
            "components": components,
        }
        return worst, body

    def _database(self) -> tuple[State, dict[str, Any]]:
        gate = self.gate
        age = gate.age_seconds()
        unseen = age is None or age > _UNSEEN_SECONDS
        told = {
            "reason": gate.reason,
            "schemaRevision": gate.revision,
            "latencyMilliseconds": _rounded(gate.latency_seconds, times=1000),
            "ageSeconds": _rounded(age),
        }
        return (State.DOWN if gate.reason is not None or unseen else State.OK), told

    def _operator(self) -> tuple[State, dict[str, Any]]:
        """Away, it holds up no request: agents get what it last decided, then control."""
        age, remaining = self.heartbeat.age(), self.heartbeat.remaining()
        told = {"heartbeatAgeSeconds": _rounded(age), "ttlSeconds": _rounded(remaining)}
        if remaining is None:  # the switch is off, and nobody watches the Lease
            return State.OK, told
        late = age is None or age > LATE_SECONDS
        return (State.DEGRADED if late else State.OK), told

    def _kubernetes(self) -> tuple[State, dict[str, Any]]:
        age, listed = self.watches.age_seconds(), self.watches.listed()
        told = {"listed": listed, "snapshotAgeSeconds": _rounded(age)}
        if not listed:
            return State.DOWN, told
        stale = age is None or age > STALE_SECONDS
        return (State.DEGRADED if stale else State.OK), told

    def _access(self) -> tuple[State, dict[str, Any]]:
        """Failing is not down: whoever was confirmed in the last minute still gets in."""
        reviews = self.reviews
        told = {
            "by": "Kubernetes" if reviews.by_kubernetes else "development token",
            "lastReviewAgeSeconds": _rounded(reviews.age_seconds()),
        }
        return (State.DEGRADED if reviews.failing else State.OK), told

    def _queues(self) -> tuple[State, dict[str, Any]]:
        told = {
            name: {"depth": queue.waiting(), "limit": queue.limit}
            for name, queue in self.queues.items()
        }
        # Also a full one is no fault: what is inside is stored, and others are told to come again.
        busy = any(queue.waiting() >= queue.limit * _BUSY for queue in self.queues.values())
        return (State.DEGRADED if busy else State.OK), told


def _rounded(value: float | None, *, times: float = 1.0) -> float | None:
    """To milliseconds; JSON has no infinity."""
    return None if value is None or not math.isfinite(value) else round(value * times, 3)

"""Events in `events.k8s.io/v1`: aggregated, rate-limited, never worth a reconcile."""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from learnops.adapters.kube.rest import MERGE_PATCH, RestClient
from learnops.api.common import API_VERSION
from learnops.domain.plan import EmitEvent
from learnops.ports.clock import Clock
from learnops.ports.kube import ConflictError, GoneError

log = logging.getLogger(__name__)
_PATH = "/apis/events.k8s.io/v1/namespaces/{namespace}/events"
CONTROLLER = "learnops.dev/operator"
_NOTE_BYTES = 1024  # the API server refuses a longer note
_REMEMBERED = 2048
V = TypeVar("V")


@dataclass(kw_only=True)
class TokenBucket:
    """At most `burst` at once and `per_second` in the long run."""

    burst: float = 25.0
    per_second: float = 0.5
    _tokens: float = field(default=-1.0)
    _at: float = 0.0

    def take(self, now: float) -> bool:
        """Whether one more is allowed at the monotonic time `now` (seconds)."""
        full = self._tokens < 0
        grown = self.burst if full else self._tokens + (now - self._at) * self.per_second
        self._tokens, self._at = min(self.burst, grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(kw_only=True)
class _Series:
    name: str
    count: int
    at: float


class EventRecorder:
    """Writes Events. The same event again within `window_seconds` raises its series' count.

    Each object has its own rate limit, so that a noisy one cannot silence the others.
    """

    def __init__(
        self,
        *,
        rest: RestClient,
        clock: Clock,
        instance: str,
        window_seconds: float = 600.0,
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._instance = instance
        self._window = window_seconds
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    async def emit(self, *, namespace: str, event: EmitEvent) -> None:
        """Write or aggregate; what goes wrong is logged and forgotten."""
        try:
            await self._emit(namespace, event)
        except Exception as error:  # noqa: BLE001 - an event is a message; nothing depends on it
            log.warning("event lost", extra={"reason": event.reason, "error": str(error)})

    async def _emit(self, namespace: str, event: EmitEvent) -> None:
        now = self._clock.monotonic()
        bucket = _remember(self._buckets, event.uid, TokenBucket())
        if not bucket.take(now):
            log.warning("event over the rate limit", extra={"reason": event.reason})
            return
        identity = _identity(namespace, event)
        series = self._series.get(identity)
        if series is not None and now - series.at < self._window:
            series.count, series.at = series.count + 1, now
            if await self._count_up(namespace, series):
                return
        name = f"{event.name[:200]}.{identity[:8]}{self._clock.now().timestamp():.6f}"
        await self._create(namespace, event, name=name)
        self._series.pop(identity, None)
        _remember(self._series, identity, _Series(name=name, count=1, at=now))

    async def _count_up(self, namespace: str, series: _Series) -> bool:
        observed = _micro_time(self._clock.now())
        patch = {"series": {"count": series.count, "lastObservedTime": observed}}
        path = f"{_PATH.format(namespace=namespace)}/{series.name}"
        try:
            await self._rest.call("PATCH", path, body=patch, content_type=MERGE_PATCH)
        except (GoneError, ConflictError):  # events expire after an hour; begin a new series
            return False
        return True

    async def _create(self, namespace: str, event: EmitEvent, *, name: str) -> None:
        body: dict[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": _micro_time(self._clock.now()),
            "type": event.type,
            "reason": event.reason,
            "note": _shorten(event.note),
            "action": event.reason,
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": event.kind,
                "namespace": namespace,
                "name": event.name,
                "uid": event.uid,
            },
        }
        await self._rest.call("POST", _PATH.format(namespace=namespace), body=body)


def _remember(kept: OrderedDict[str, V], key: str, new: V) -> V:
    """The value of `key`, `new` where there is none; the least recently used is forgotten."""
    value = kept.setdefault(key, new)
    kept.move_to_end(key)
    while len(kept) > _REMEMBERED:
        kept.popitem(last=False)
    return value


def _identity(namespace: str, event: EmitEvent) -> str:
    parts = (namespace, event.uid, event.type, event.reason, event.note)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _micro_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shorten(note: str) -> str:
    data = note.encode()
    if len(data) <= _NOTE_BYTES:
        return note
    return data[: _NOTE_BYTES - 3].decode(errors="ignore") + "…"

"""One active operator: a `coordination.k8s.io` Lease, and the fence that it hands out.

Expiry is judged by how long the record stood still on the own monotonic clock, never by comparing
wall clocks. The fence is stored in an annotation of the Lease and rises with every acquisition; the
CRDs refuse a status with a lower one, so an operator that wakes up after losing the Lease cannot
undo what its successor did.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from learnops.adapters.kube.rest import Json, RestClient
from learnops.api.common import GROUP
from learnops.ports.clock import Clock
from learnops.ports.kube import ConflictError, GoneError, KubeUnavailableError, RefusedError

log = logging.getLogger(__name__)
FENCE_ANNOTATION = f"{GROUP}/fence"
Sleep = Callable[[float], Awaitable[None]]
SeenFence = Callable[[], Awaitable[int]]
_REFUSALS = (ConflictError, GoneError, KubeUnavailableError, RefusedError)


class LeaseLostError(Exception):
    """This process may not act any more; it must end."""


@dataclass(frozen=True, kw_only=True)
class LeaseConfig:
    """Which Lease, who asks for it, and for how long one renewal holds."""

    namespace: str
    name: str
    identity: str
    duration_seconds: int = 15

    @property
    def renew_seconds(self) -> float:
        """How often the holder renews."""
        return self.duration_seconds / 5

    @property
    def deadline_seconds(self) -> float:
        """After how long without a renewal the holder gives up, before another may take over."""
        return self.duration_seconds * 2 / 3


class Lease:
    """Acquire, renew and release. Not for concurrent use."""

    def __init__(self, *, rest: RestClient, clock: Clock, config: LeaseConfig) -> None:
        self._rest = rest
        self._clock = clock
        self._config = config
        self._seen: tuple[str, float] | None = None  # resourceVersion, since when it stands still
        self._held: Json | None = None
        self._renewed_at = 0.0

    async def try_acquire(self, *, seen_fence: SeenFence) -> int | None:
        """The fence if the Lease is ours now, None while another holds it.

        `seen_fence` finds the highest fence on any object, which survives a deleted Lease; it is
        asked only when the Lease is free. Raises the errors of `ports.kube` but for a lost race.
        """
        started = self._clock.monotonic()
        found = await self._read()
        if found is not None and not self._is_free(found):
            return None
        fence = max(_fence(found), await seen_fence()) + 1
        try:
            self._held = await self._write(found, self._record(found, fence=fence))
        except (ConflictError, GoneError):
            return None
        # Counted from before the write: the others see it later than that.
        self._renewed_at = started
        return fence

    def held(self) -> bool:
        """Whether this process may act now."""
        silent = self._clock.monotonic() - self._renewed_at
        return self._held is not None and silent <= self._config.deadline_seconds

    async def wait_for(self, *, seen_fence: SeenFence, sleep: Sleep) -> int:
        """Try until the Lease is ours; its fence. A standby waits here."""
        while True:
            try:
                fence = await self.try_acquire(seen_fence=seen_fence)
            except (KubeUnavailableError, RefusedError) as error:
                log.warning("lease not acquired", extra={"error": str(error)})
                fence = None
            if fence is not None:
                return fence
            await sleep(self._config.renew_seconds)

    async def keep(self, *, healthy: Callable[[], bool], sleep: Sleep) -> None:
        """Renew while `healthy`; raises LeaseLostError and never returns otherwise.

        A process that does not get its work done must not look alive: its successor may.
        """
        while True:
            await sleep(self._config.renew_seconds)
            if healthy():
                await self.renew()
            elif not self.held():
                raise LeaseLostError("work is stuck; the Lease was left to another")

    async def renew(self) -> None:
        """Renew, or raise LeaseLostError once another holds it or the deadline has passed."""
        started = self._clock.monotonic()
        if self._held is None or not self.held():
            raise LeaseLostError("the Lease was not renewed in time")
        try:
            self._held = await self._write(self._held, self._record(self._held, fence=None))
            self._renewed_at = started
        except (ConflictError, GoneError):
            await self._look_again()
        except (KubeUnavailableError, RefusedError) as error:
            log.warning("lease not renewed", extra={"error": str(error)})

    async def release(self) -> None:
        """Let a successor begin at once; best effort."""
        if self._held is None:
            return
        record = self._record(self._held, fence=None)
        record["spec"]["holderIdentity"] = ""
        try:
            await self._write(self._held, record)
        except _REFUSALS as error:
            log.warning("lease not released", extra={"error": str(error)})
        self._held = None

    async def _look_again(self) -> None:
        """A write was refused as stale: somebody annotated the Lease, or took it."""
        try:
            found = await self._read()
        except (KubeUnavailableError, RefusedError) as error:
            log.warning("lease not read", extra={"error": str(error)})
            return
        holder = None if found is None else found["spec"].get("holderIdentity")
        if found is None or holder != self._config.identity:
            self._held = None
            raise LeaseLostError(f"the Lease is held by {holder or 'nobody'}")
        self._held = found

    def _is_free(self, found: Json) -> bool:
        version, spec = found["metadata"]["resourceVersion"], found.get("spec", {})
        now = self._clock.monotonic()
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now)
        if not spec.get("holderIdentity"):
            return True
        duration: int = spec.get("leaseDurationSeconds", 0)
        return now - self._seen[1] > duration

    def _record(self, found: Json | None, *, fence: int | None) -> Json:
        """The Lease as it shall be; `fence` None: a renewal, which changes only the time."""
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old: dict[str, Any] = (found or {}).get("spec", {})
        annotations = dict((found or {}).get("metadata", {}).get("annotations") or {})
        spec = {**old, "renewTime": now, "holderIdentity": self._config.identity}
        if fence is not None:
            annotations[FENCE_ANNOTATION] = str(fence)
            spec |= {
                "acquireTime": now,
                "leaseDurationSeconds": self._config.duration_seconds,
                "leaseTransitions": old.get("leaseTransitions", 0) + (1 if found else 0),
            }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._config.name, "annotations": annotations},
            "spec": spec,
        }

    async def _read(self) -> Json | None:
        try:
            return await self._rest.call("GET", f"{self._collection()}/{self._config.name}")
        except GoneError:
            return None

    async def _write(self, found: Json | None, record: Json) -> Json:
        if found is None:
            return await self._rest.call("POST", self._collection(), body=record)
        record["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        path = f"{self._collection()}/{self._config.name}"
        return await self._rest.call("PUT", path, body=record)

    def _collection(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self._config.namespace}/leases"


def _fence(found: Json | None) -> int:
    annotations = (found or {}).get("metadata", {}).get("annotations") or {}
    told = annotations.get(FENCE_ANNOTATION, "0")
    return int(told) if told.isascii() and told.isdigit() else 0

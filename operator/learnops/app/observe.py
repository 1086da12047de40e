"""Observe one doer: the cache, and the ports in parallel, each with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.api.doer import Doer, Router
from learnops.api.policy import Policy
from learnops.app.cache import DoerObjects, ObjectCache
from learnops.app.evidence.reader import EvidenceReader
from learnops.app.evidence.runlog import LogReading
from learnops.app.parse import parse
from learnops.domain.observed import History, InvalidObject, Key, RouteReading, Snapshot
from learnops.domain.outcome import ErrorReason, Unavailable
from learnops.ports.clock import Clock
from learnops.ports.runlog import RunLog, RunLogUnavailableError
from learnops.ports.traffic import Route, RouteUnavailableError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The snapshot, and in how many seconds a run of a live canary times out at the latest."""

    snapshot: Snapshot
    wake_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    doer: Doer | None
    policies: dict[str, Policy]
    canaries: tuple[CanaryDeployment, ...]
    invalid: tuple[InvalidObject, ...]

    @property
    def live(self) -> tuple[CanaryDeployment, ...]:
        return tuple(one for one in self.canaries if one.status.stage is CanaryStage.CANARY)


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Makes snapshots. `fence` gives the fence of this operator's Lease."""

    cache: ObjectCache
    clock: Clock
    runlog: RunLog
    route: Route
    evidence: EvidenceReader
    fence: Callable[[], int]
    deadline_seconds: float = 5.0

    async def observe(self, key: Key) -> Observation:
        """Everything that is known of a doer now; what could not be read says why."""
        parsed = _parse(self.cache.objects_of(key))
        self.evidence.keep_only(key, live=parsed.live)
        history, attempts, route, readings = await asyncio.gather(
            self._history(key, parsed),
            self._attempts(key, parsed),
            self._route(parsed.doer),
            self._evidence(key, parsed),
        )
        snapshot = Snapshot(
            key=key,
            now=self.clock.now(),
            fence=self.fence(),
            doer=parsed.doer,
            policies=parsed.policies,
            canaries=parsed.canaries,
            invalid=parsed.invalid,
            history=history,
            attempts=attempts,
            evidence={name: one.evidence for name, one in readings.items()},
            route=route,
            route_owner=self.cache.route_owner(key),
        )
        waits = [one.next_timeout_seconds for one in readings.values()]
        wake = min((one for one in waits if one is not None), default=None)
        return Observation(snapshot=snapshot, wake_seconds=wake)

    async def _history(self, key: Key, parsed: _Parsed) -> History | Unavailable | None:
        if not _needs_history(parsed):
            return None
        return await self._from_runlog(self.runlog.history(key=key))

    async def _attempts(self, key: Key, parsed: _Parsed) -> dict[str, int] | Unavailable | None:
        if not _needs_attempts(parsed):
            return None
        return await self._from_runlog(self.runlog.attempts(key=key))

    async def _from_runlog(self, asked: Awaitable[T]) -> T | Unavailable:
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await asked
        except RunLogUnavailableError as error:
            message = str(error)
        except TimeoutError:
            message = f"no answer within {self.deadline_seconds:g} s"
        return Unavailable(reason=ErrorReason.RUN_LOG_UNAVAILABLE, message=message)

    async def _route(self, doer: Doer | None) -> RouteReading | Unavailable | None:
        if doer is None or doer.spec.traffic.router is not Router.GATEWAY_API:
            return None
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await self.route.read(doer=doer)
        except RouteUnavailableError as error:
            message = str(error)
        except TimeoutError:
            message = f"the API server did not answer within {self.deadline_seconds:g} s"
        return Unavailable(reason=ErrorReason.ROUTE_UNAVAILABLE, message=message)

    async def _evidence(self, key: Key, parsed: _Parsed) -> dict[str, LogReading]:
        doer = parsed.doer
        if doer is None:
            return {}
        names = [canary.metadata.name for canary in parsed.live]
        found = await asyncio.gather(*(self._read(key, doer, one) for one in parsed.live))
        return dict(zip(names, found, strict=True))

    async def _read(self, key: Key, doer: Doer, canary: CanaryDeployment) -> LogReading:
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await self.evidence.read(key=key, doer=doer, canary=canary)
        except TimeoutError:
            source = canary.spec.analysis.source
            message = f"{source.value} did not answer within {self.deadline_seconds:g} s"
            return LogReading(evidence=Unavailable(reason=_SILENT[source.value], message=message))


_SILENT = {
    "RunLog": ErrorReason.RUN_LOG_UNAVAILABLE,
    "Prometheus": ErrorReason.PROMETHEUS_UNAVAILABLE,
}


def _parse(objects: DoerObjects) -> _Parsed:
    doer = None if objects.doer is None else parse(Doer, objects.doer)
    policies = [parse(Policy, raw) for raw in objects.policies]
    canaries = [parse(CanaryDeployment, raw) for raw in objects.canaries]
    invalid = [one for one in (doer, *policies, *canaries) if isinstance(one, InvalidObject)]
    read = [one for one in canaries if isinstance(one, CanaryDeployment)]
    return _Parsed(
        doer=doer if isinstance(doer, Doer) else None,
        policies={one.metadata.name: one for one in policies if isinstance(one, Policy)},
        canaries=tuple(sorted(read, key=_age)),
        invalid=tuple(sorted(invalid, key=lambda one: (one.kind, one.name))),
    )


def _age(canary: CanaryDeployment) -> tuple[str, str]:
    return canary.metadata.creation_timestamp.isoformat(), canary.metadata.name


def _needs_history(parsed: _Parsed) -> bool:
    """A doer or a policy without a status: new, or restored without one."""
    doer = parsed.doer
    if doer is None:
        return False
    bare = doer.status.traffic is None or doer.status.active_policy is None
    return bare or any(one.status.stage is None for one in parsed.policies.values())


def _needs_attempts(parsed: _Parsed) -> bool:
    """A canary that may start, or start again, in this pass."""
    return parsed.doer is not None and any(_may_start(one) for one in parsed.canaries)


def _may_start(canary: CanaryDeployment) -> bool:
    status, action = canary.status, canary.spec.action
    ordered = action is not None and action.id != status.handled_action_id
    return ordered or status.stage in (None, CanaryStage.PENDING)

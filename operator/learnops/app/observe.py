"""Observe one doer: the cache, and the ports in parallel, each with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import TypeVar

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer, Router
from learnops.api.policy import Policy
from learnops.app.cache import DoerObjects, ObjectCache
from learnops.app.evidence.drift import DriftEvidence
from learnops.app.evidence.figures import CanaryFigures
from learnops.app.evidence.queries import GuardrailQueries
from learnops.app.evidence.reader import EvidenceReader
from learnops.app.evidence.reading import rollout_id
from learnops.app.evidence.runlog import LogReading
from learnops.app.parse import parse
from learnops.app.record import RecordLooks
from learnops.domain.arms import on_trial
from learnops.domain.observed import (
    DriftReading,
    Evidence,
    EvidenceReading,
    FiguresReading,
    History,
    InvalidObject,
    Key,
    QueryAnswer,
    RouteReading,
    Snapshot,
    TermsReading,
)
from learnops.domain.planner import Needs, needs
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.clock import Clock
from learnops.ports.runlog import RunLog, RunLogUnavailableError
from learnops.ports.traffic import Route, RouteUnavailableError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The snapshot; whether a canary has traffic; in how many seconds a run of it times out;
    whether the active policy is watched for drift."""

    snapshot: Snapshot
    live: bool
    wake_seconds: float | None
    watched: bool = False


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    doer: Doer | None
    policies: dict[str, Policy]
    canaries: tuple[CanaryDeployment, ...]
    invalid: tuple[InvalidObject, ...]

    @property
    def needs(self) -> Needs:
        return needs(self.doer, self.policies.values(), self.canaries)


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Makes snapshots. `fence` gives the fence of this operator's Lease."""

    cache: ObjectCache
    clock: Clock
    runlog: RunLog
    route: Route
    evidence: EvidenceReader
    drift: DriftEvidence
    figures: CanaryFigures
    queries: GuardrailQueries
    terms: Callable[[Key], TermsReading | Unavailable | None]
    query_spacing: timedelta
    record: RecordLooks
    fence: Callable[[], int]
    canaries_enabled: bool = True
    deadline_seconds: float = 5.0

    async def observe(self, key: Key) -> Observation:
        """Everything that is known of a doer now; what could not be read says why."""
        parsed = _parse(self.cache.objects_of(key))
        needed = parsed.needs
        live = tuple(one for one in parsed.canaries if one.metadata.name == needed.evidence)
        self.evidence.keep_only(key, live=live)
        self.figures.keep_only(key, rollouts={rollout_id(one) for one in live})
        history, attempts, route, readings, drift, queries = await asyncio.gather(
            self._history(key, needed),
            self._attempts(key, needed),
            self._route(parsed.doer),
            self._evidence(key, parsed.doer, live),
            self._drift(key, parsed.doer, needed),
            self._queries(key, parsed.doer, live),
        )
        if any(_was_restored(one.evidence) for one in readings.values()):
            self.figures.keep_only(key, rollouts=set())  # they count on from runs that are gone
        snapshot = replace(
            self._known(key, parsed),
            history=history,
            attempts=attempts,
            evidence={candidate: one.evidence for candidate, one in readings.items()},
            drift=drift,
            figures=self._figures(key, live, readings),
            queries=queries,
            route=route,
        )
        waits = [one.next_timeout_seconds for one in readings.values()]
        wake = min((one for one in waits if one is not None), default=None)
        return Observation(
            snapshot=snapshot, live=bool(live), wake_seconds=wake, watched=needed.drift
        )

    def _known(self, key: Key, parsed: _Parsed) -> Snapshot:
        """What is known without asking anybody, as of now."""
        return Snapshot(
            key=key,
            now=self.clock.now(),
            fence=self.fence(),
            doer=parsed.doer,
            policies=parsed.policies,
            canaries=parsed.canaries,
            invalid=parsed.invalid,
            terms=self.terms(key),
            query_spacing=self.query_spacing,
            route_owner=self.cache.route_owner(key),
            canaries_enabled=self.canaries_enabled,
        )

    async def _history(self, key: Key, needed: Needs) -> History | Unavailable | None:
        if needed.history:
            return await self._from_runlog(self.runlog.history(key=key))
        return await self.record.history(key=key, at_rest=needed.record)

    async def _attempts(self, key: Key, needed: Needs) -> dict[str, int] | Unavailable | None:
        if not needed.attempts:
            return None
        return await self._from_runlog(self.runlog.attempts(key=key))

    async def _drift(
        self, key: Key, doer: Doer | None, needed: Needs
    ) -> DriftReading | Unavailable | None:
        if doer is None or not needed.drift:
            return None
        return await self._from_runlog(self.drift.read(key=key, doer=doer))

    async def _from_runlog(self, asked: Awaitable[T]) -> T | Unavailable:
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await asked
        except RunLogUnavailableError as error:
            message = str(error)
        except TimeoutError:
            message = f"no answer within {self.deadline_seconds:g} s"
        reason = ErrorReason.RUN_LOG_UNAVAILABLE
        return Unavailable(reason=reason, message=f"run log: {message}")

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

    async def _evidence(
        self, key: Key, doer: Doer | None, live: tuple[CanaryDeployment, ...]
    ) -> dict[str, LogReading]:
        if doer is None:
            return {}
        arms = _arms(doer, live)
        found = await asyncio.gather(*(self._read(key, doer, *arm) for arm in arms))
        return {name: reading for (_, name), reading in zip(arms, found, strict=True)}

    def _figures(
        self,
        key: Key,
        live: tuple[CanaryDeployment, ...],
        readings: dict[str, LogReading],
    ) -> dict[str, FiguresReading]:
        """Only where there is evidence: what they would be shown beside."""
        found: dict[str, FiguresReading] = {}
        for canary, (candidate, one) in product(live, readings.items()):
            if isinstance(one.evidence, EvidenceReading):
                told = self.figures.of(key, canary, candidate, runs=one.evidence.runs)
                if told is not None:
                    found[candidate] = told
        return found

    async def _queries(
        self, key: Key, doer: Doer | None, live: tuple[CanaryDeployment, ...]
    ) -> dict[str, dict[str, QueryAnswer]]:
        if doer is None:
            return {}
        arms = _arms(doer, live)
        asked = (
            self.queries.read(key=key, doer=doer, canary=one, candidate=name) for one, name in arms
        )
        found = await asyncio.gather(*asked)
        return {name: answers for (_, name), answers in zip(arms, found, strict=True)}

    async def _read(
        self, key: Key, doer: Doer, canary: CanaryDeployment, candidate: str
    ) -> LogReading:
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await self.evidence.read(
                    key=key, doer=doer, canary=canary, candidate=candidate
                )
        except TimeoutError:
            source = canary.spec.analysis.source
            message = f"{source.value} did not answer within {self.deadline_seconds:g} s"
            return LogReading(evidence=Unavailable(reason=_SILENT[source.value], message=message))


def _was_restored(evidence: Evidence) -> bool:
    return isinstance(evidence, Unavailable) and evidence.reason is ErrorReason.RUN_LOG_RESTORED


_SILENT = {
    "RunLog": ErrorReason.RUN_LOG_UNAVAILABLE,
    "Prometheus": ErrorReason.PROMETHEUS_UNAVAILABLE,
}


def _arms(
    doer: Doer, live: tuple[CanaryDeployment, ...]
) -> tuple[tuple[CanaryDeployment, str], ...]:
    """A candidate that was dropped has no share any more, and its verdict stands."""
    return tuple(product(live, on_trial(doer.status.traffic)))


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

"""Counters: evidence from Prometheus alone, one query per tick for all canaries.

The state lives in the canary's status and nowhere else: it is written in the same status write as
the verdict that follows from it, so that no increment is counted twice or lost. Beside the engine's
state it holds the candidate's probability per traffic revision, because a
counter tells only the revision under which a run was drawn.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.app.evidence.reading import (
    candidate_percent,
    plan_of,
    refused,
    rollout_id,
    to_reading,
)
from learnops.domain.arms import candidates_of
from learnops.domain.assignment import Arm
from learnops.domain.evidence import counters as engine
from learnops.domain.evidence.counter_series import CounterSample as EngineSample
from learnops.domain.evidence.counter_series import Series
from learnops.domain.evidence.counters import CounterState
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.types import TestPlan
from learnops.domain.observed import EvidenceReading, Key
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.clock import Clock
from learnops.ports.metrics import CounterSample, Metrics, MetricsUnavailableError

log = logging.getLogger(__name__)
# The age of a sample is counted to the question, so an answer must not be passed on for long.
_LONGEST_SHARED_SECONDS = 5.0


class CounterTick:
    """One query for everybody who asks within `max_age_seconds` (5 at most), failures included."""

    def __init__(self, *, metrics: Metrics, clock: Clock, max_age_seconds: float) -> None:
        self._metrics = metrics
        self._clock = clock
        self._max_age = min(max_age_seconds, _LONGEST_SHARED_SECONDS)
        self._asked_at = 0.0
        self._query: asyncio.Task[list[CounterSample]] | None = None

    async def samples(self) -> list[CounterSample]:
        """Every evidence counter; raises MetricsUnavailableError."""
        now = self._clock.monotonic()
        if self._query is None or (self._query.done() and now - self._asked_at > self._max_age):
            self._asked_at = now
            self._query = asyncio.create_task(self._metrics.evidence_counters())
        # Shielded: the deadline of one asker must not take the answer from the others.
        return await asyncio.shield(self._query)


@dataclass(frozen=True, kw_only=True)
class _Saved:
    """What `canary.status.evidenceState` holds: the engine's state, and π by revision."""

    engine: dict[str, Any] | None
    propensities: dict[int, float]

    @classmethod
    def parse(cls, text: str | None) -> "_Saved":
        """Nothing where the text is not ours: then only what comes from now on counts."""
        try:
            data = json.loads(text or "{}")
            told = data.get("propensities", {}).items()
            return cls(
                engine=data.get("engine"),
                propensities={int(revision): float(value) for revision, value in told},
            )
        except (AttributeError, TypeError, ValueError) as error:
            log.warning("evidence state cannot be read", extra={"error": str(error)})
            return cls(engine={}, propensities={})  # refused as of no known engine version

    @staticmethod
    def dump(state: CounterState, propensities: Mapping[int, float]) -> str:
        data = {"engine": state.to_dict(), "propensities": propensities}
        return json.dumps(data, separators=(",", ":"))


class CounterEvidence:
    """Evidence of live canaries from the shared tick."""

    def __init__(self, *, tick: CounterTick) -> None:
        self._tick = tick
        # Shares that were served while Prometheus was away, so that no status write recorded them.
        self._served: dict[Key, dict[str, dict[int, float]]] = {}

    def keep_only(self, key: Key, *, rollouts: set[str]) -> None:
        """Forget the doer's rollouts that ended."""
        kept = {id_: one for id_, one in self._served.pop(key, {}).items() if id_ in rollouts}
        if kept:
            self._served[key] = kept

    @staticmethod
    def state_of(canary: CanaryDeployment) -> CounterState | None:
        """The engine's state as last written; None before the first runs."""
        if canary.status.evidence_state is None:
            return None
        return _saved_state(canary, plan=plan_of(canary), first_revision=0)

    async def read(
        self, *, key: Key, doer: Doer, canary: CanaryDeployment
    ) -> EvidenceReading | Unavailable:
        """The evidence on all runs that were counted by now. Raises nothing but cancellation.

        The schema lets a canary with counters have one candidate only.
        """
        propensities = self._propensities(key, doer, canary)
        try:
            samples = [
                one
                for one in await self._tick.samples()
                if (one.namespace, one.doer) == (key.namespace, key.doer)
                and one.revision in propensities
            ]
            return _read(samples, doer=doer, canary=canary, propensities=propensities)
        except MetricsUnavailableError as error:
            return Unavailable(reason=error.reason, message=str(error))
        except EvidenceError as error:
            return refused(error, otherwise=ErrorReason.INCONSISTENT)

    def _propensities(self, key: Key, doer: Doer, canary: CanaryDeployment) -> dict[int, float]:
        served = self._served.setdefault(key, {}).setdefault(rollout_id(canary), {})
        served |= _Saved.parse(canary.status.evidence_state).propensities
        (candidate,) = candidates_of(canary)
        percent = candidate_percent(doer, canary, candidate=candidate)
        traffic = doer.status.traffic
        if traffic is not None and 0 < percent < 100:  # drawn with certainty: no evidence
            served[traffic.revision] = percent / 100
        return served


def _read(
    samples: list[CounterSample],
    *,
    doer: Doer,
    canary: CanaryDeployment,
    propensities: Mapping[int, float],
) -> EvidenceReading | Unavailable:
    allowed = canary.spec.analysis.max_staleness_seconds
    unusable = _unusable(samples, allowed=allowed)
    if unusable is not None:
        return unusable
    scrape = [_sample(one) for one in samples]
    state = _saved_state(canary, plan=plan_of(canary), first_revision=min(propensities))
    if state is None:  # a changed plan, or a state of another version: only what comes now counts
        first = max(propensities)
        state = engine.start(plan_of(canary), first_revision=first, baseline=scrape)
    state = engine.observe(state, scrape, propensities=propensities)
    return to_reading(
        state.evidence(),
        percent=candidate_percent(doer, canary, candidate=candidates_of(canary)[0]),
        prefix_current=not state.folded.gap and _is_current(samples, allowed=allowed),
        control_timeout_fraction=state.control_timeout_fraction,
        state=_Saved.dump(state, propensities),
        ratio=state.ratio.result(),
    )


def _unusable(samples: list[CounterSample], *, allowed: float) -> Unavailable | None:
    """Why nothing can be made of a scrape; None: something can."""
    if not samples:
        message = "Prometheus has no learnops_evidence_* series of this rollout yet"
        return Unavailable(reason=ErrorReason.NO_DATA, message=message)
    for one in samples:
        if one.problem is not None:
            message = f"the counters of api process {one.process} cannot be used{_advice(one)}"
            return Unavailable(reason=one.problem, message=message)
    age = min(one.age_seconds for one in samples)
    if not age <= allowed:  # NaN is not an age
        message = f"the newest sample is {age:.0f} s old, maxStalenessSeconds is {allowed}"
        return Unavailable(reason=ErrorReason.STALE, message=message)
    return None


def _is_current(samples: list[CounterSample], *, allowed: float) -> bool:
    """Whether every run older than maturation + `allowed` is in; not where nobody tells."""
    lags = [one.prefix_lag_seconds for one in samples]
    return all(lag is not None and lag <= allowed for lag in lags)


def _saved_state(
    canary: CanaryDeployment, *, plan: TestPlan, first_revision: int
) -> CounterState | None:
    """The state of the status write before; a first state; None where what is there is no use."""
    saved = _Saved.parse(canary.status.evidence_state).engine
    if saved is None:
        return engine.start(plan, first_revision=first_revision)
    try:
        return CounterState.from_dict(saved, plan=plan)
    except EvidenceError as error:
        log.warning("evidence begins again", extra={"reason": error.reason, "error": error.detail})
        return None


def _advice(sample: CounterSample) -> str:
    if sample.problem is not ErrorReason.AMBIGUOUS_SERIES:
        return ""
    return ": they are there more than once; let one job scrape the api, each replica once"


def _sample(sample: CounterSample) -> EngineSample:
    return EngineSample(
        series=Series(sample.revision, Arm(sample.arm), sample.process),
        count=sample.runs,
        loss_sum=sample.loss_sum,
        loss_sumsq=sample.loss_sumsq,
        timeouts=sample.timeouts,
    )

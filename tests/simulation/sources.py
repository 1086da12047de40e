"""What the operator is told besides the objects: evidence, drift, terms, figures, answers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.guardrails import on_queries
from learnops.api.rollout import Source
from learnops.domain.attempt import salt_of
from learnops.domain.observed import (
    DriftReading,
    FiguresReading,
    QueryAnswer,
    ShadowReading,
)
from learnops.domain.planner.traffic import in_shadow
from learnops.domain.unavailable import ErrorReason, Unavailable
from tests.simulation import evidence
from tests.simulation.queries import NO_ANSWER, evaluated
from tests.simulation.runlog import RunLog
from tests.simulation.store import Obj


@dataclass(kw_only=True)
class Sources:
    """What they say, until a beat of the story changes it."""

    truth: dict[str, Any] = field(default_factory=dict)  # evidence by candidate
    drift: dict[str, Any] = field(default_factory=dict)  # what the watch over a policy finds
    terms: Any = None  # which terms the active policy's runs report
    figures: dict[str, FiguresReading] = field(default_factory=dict)  # by candidate as well
    answers: dict[str, float | QueryAnswer] = field(default_factory=dict)  # of p95 by candidate
    query_spacing: timedelta = timedelta(seconds=9)

    def evidence(
        self, canary: CanaryDeployment, candidate: str, *, log: RunLog, objects: list[Obj]
    ) -> Any:
        """Of one candidate: by the run log's newest generation, where the run log is the source."""
        found = self.truth.get(candidate, evidence.NOTHING_YET)
        shadowing = any(isinstance(it, Doer) and in_shadow(it.status.traffic) for it in objects)
        if isinstance(found, ShadowReading) and not shadowing:
            found = evidence.NOTHING_YET  # pairs are told of the shadow stage alone
        generations = log.generations.get((salt_of(canary, canary.status), candidate))
        if canary.spec.analysis.source is Source.PROMETHEUS or not generations:
            return found
        return evidence.of_generation(found, generations[-1])

    def drift_of(self, doer: Doer, *, log: RunLog) -> Any:
        """What the watch says of the doer's active policy."""
        if not log.up:
            return Unavailable(reason=ErrorReason.RUN_LOG_UNAVAILABLE, message="run log: gone")
        return self.drift.get(doer.status.active_policy or "", DriftReading(runs=0))

    def queries(
        self, canary: CanaryDeployment, candidate: str, *, at: datetime
    ) -> dict[str, QueryAnswer]:
        """What the guardrails' queries say of one candidate, by guardrail."""
        told = self.answers.get(candidate, NO_ANSWER)
        guardrails = on_queries(canary.spec.analysis.guardrails)
        return {it.name: evaluated(told, at=at) for it in guardrails}

    def nothing_yet(self, candidate: str) -> None:
        """The candidate's runs are counted from the first on."""
        self.truth[candidate] = evidence.NOTHING_YET

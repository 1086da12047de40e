"""A log's verdict by a canary's own plan."""

from dataclasses import dataclass, replace

import numpy as np

from learnops.api.canary import CanaryDeployment
from learnops.app.evidence.reading import plan_of
from learnops.cli.evaluation.errors import EvaluationError, bad_line
from learnops.cli.evaluation.logs import Log
from learnops.domain.evidence import verdict
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.ruling import Limits
from learnops.domain.evidence.types import TestPlan
from learnops.domain.evidence.verdict import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found of one candidate in one canary."""

    canary: str
    candidate: str
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges logs of one plan."""

    plan: TestPlan
    limits: Limits

    def __call__(self, log: Log) -> Judged:
        """Raises EvaluationError where the plan cannot judge the log."""
        if self.plan.horizon is not None:
            _check_constant(log, runs=self.plan.horizon)
        try:
            found = verdict.judge(self.plan, self.limits, log.runs)
        except EvidenceError as error:
            named = f"canary {log.canary}: " if log.canary else ""
            raise EvaluationError(f"{named}{error.detail}") from error
        return Judged(canary=log.canary, candidate=log.candidate, judgement=found)


def judge_of(canary: CanaryDeployment, *, attempt: int) -> Judge:
    """By the canary's analysis, for that try of its candidates."""
    # A log that has ended is not ramped: its shares are in it.
    plan = replace(plan_of(canary, attempt=attempt), ramp=())
    return Judge(plan=plan, limits=Limits.of(canary.spec.analysis))


def _check_constant(log: Log, *, runs: int) -> None:
    """One look needs one share; the engine refuses others by run, here the line is named."""
    drawn = log.runs.propensity[:runs]
    changed = drawn != drawn[0]
    if changed.any():
        place = int(np.argmax(changed))
        problem = (
            f"{drawn[place]:g} where the runs before it have {drawn[0]:g}; "
            "method FixedHorizon must have a constant share"
        )
        raise bad_line(int(log.lines[place]), "propensity", problem)

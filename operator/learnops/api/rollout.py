"""Strategy and analysis: shared by `CanaryDeployment.spec` and `Doer.spec.rollout`."""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, Protocol

from pydantic import Field

from learnops.api.common import ATOMIC, Fraction, Integer, Model, OpenFraction, Rule
from learnops.api.guardrails import Guardrails, on_terms
from learnops.api.shadow import ShadowStrategy

Percent = Annotated[Integer, Field(ge=1, le=50)]


class Gate(StrEnum):
    """What lets a canary go to its next step."""

    EVIDENCE = "Evidence"
    TIMED = "Timed"


# Atomic, not a set: server-side apply would merge the steps of two appliers in any order.
Steps = Annotated[
    tuple[Percent, ...],
    Field(min_length=1, max_length=10),
    ATOMIC,
    Rule(
        rule="self.isSorted() && self.all(x, self.exists_one(y, y == x))",
        message="must rise from step to step, e.g. [5, 10, 25, 50]",
        holds=lambda steps: all(a < b for a, b in pairwise(steps)),
    ),
]


class CanaryStrategy(Model):
    """Shares of the candidate, rising, and what opens the next one."""

    steps: Steps = (5, 10, 25, 50)
    """Percentages of runs that go to the candidate, one after the other: each from 1 to 50 and
    higher than the one before. Promotion follows from the last one."""
    gate: Gate = Gate.EVIDENCE
    """What opens the next step. Evidence: the candidate is shown not to be much worse. Timed:
    stepSeconds have passed."""
    step_seconds: Annotated[Integer, Field(ge=0, le=604_800)] = 600
    """Least time in seconds that a step lasts, whatever the gate."""


class Strategy(Model):
    """The stages of a rollout."""

    # No schema default: it runs every sampled run twice, which a person has to ask for.
    shadow: ShadowStrategy | None = None
    """A stage before the first share: the candidate answers nobody, but runs on what control is
    given. Absent: left out. Only with source RunLog."""
    canary: CanaryStrategy = CanaryStrategy()
    """A growing share of real runs goes to the candidate."""


class Source(StrEnum):
    """Where evidence is read from."""

    RUN_LOG = "RunLog"
    PROMETHEUS = "Prometheus"


class Method(StrEnum):
    """How evidence is computed: Anytime and FixedHorizon read the run log, Counters Prometheus."""

    ANYTIME = "Anytime"
    FIXED_HORIZON = "FixedHorizon"
    COUNTERS = "Counters"


class PromoteTest(Model):
    """Promote when "candidate's mean loss >= control's + margin" is rejected at `level`."""

    level: OpenFraction = "0.05"
    """Bound on the probability of ever promoting a candidate that is not better (or worse by more
    than the margin), over all its attempts; a decimal between 0 and 1, both excluded."""
    margin: Fraction = "0"
    """How much worse a candidate may be and still be promoted, in loss (0 to 1). "0": only a
    better one is."""


class RollbackTest(Model):
    """Roll back when "candidate's mean loss <= control's + tolerance" is rejected at `level`."""

    level: OpenFraction = "0.05"
    """Bound on the probability of ever rolling back a candidate that is not worse than the
    tolerance; a decimal between 0 and 1, both excluded."""
    # No schema default: an absent tolerance equals the promotion margin.
    tolerance: Fraction | None = None
    """How much worse a candidate may be before it is rolled back, in loss (0 to 1). Absent: the
    same as promote.margin."""


class FutilityTest(Model):
    """End the canary as futile when "candidate's mean loss <= control's - minImprovement" is
    rejected at `level`."""

    level: OpenFraction = "0.10"
    """Bound on the probability of ever ending a candidate as futile that is better by
    minImprovement or more; a decimal between 0 and 1, both excluded."""
    min_improvement: OpenFraction
    """The least improvement that is worth waiting for, in loss: a candidate that is shown not to
    reach it is rejected; a decimal between 0 and 1, both excluded."""


class OnInconclusive(StrEnum):
    """What happens when `maxRuns` or the deadline is reached without a verdict."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"


def _method_fits(analysis: "Analysis") -> bool:
    if analysis.method is None:
        return True
    return (analysis.method is not Method.COUNTERS) == (analysis.source is Source.RUN_LOG)


def _judged_alone(analysis: "Analysis") -> bool:
    if analysis.method is not Method.FIXED_HORIZON:
        return True
    return not on_terms(analysis.guardrails) and analysis.futility is None


class _HasBoth(Protocol):
    @property
    def strategy(self) -> Strategy: ...
    @property
    def analysis(self) -> "Analysis": ...


def _one_step(of: _HasBoth) -> bool:
    one_look = of.analysis.method is Method.FIXED_HORIZON
    return not one_look or len(of.strategy.canary.steps) == 1


# Pooled means are right only while the share is constant.
ONE_LOOK_ONE_STEP = Rule(
    rule="self.?analysis.?method.orValue('') != 'FixedHorizon' || "
    "self.?strategy.?canary.?steps.orValue([]).size() == 1",
    message="must be a single step, e.g. [50], with method FixedHorizon: "
    "it compares means, which a changing share would confuse",
    field_path=".strategy.canary.steps",
    holds=_one_step,
)


def _pairs_are_told(of: _HasBoth) -> bool:
    return of.strategy.shadow is None or of.analysis.source is Source.RUN_LOG


SHADOW_FROM_RUN_LOG = Rule(
    rule="!has(self.strategy) || !has(self.strategy.shadow) || "
    "self.?analysis.?source.orValue('RunLog') == 'RunLog'",
    message="must be left out with source Prometheus: counters tell no pairs",
    field_path=".strategy.shadow",
    holds=_pairs_are_told,
)


class Analysis(Model):
    """The statistical test of a rollout. It stays valid however often it is looked at."""

    source: Source = Source.RUN_LOG
    """Where evidence is read from. RunLog: the run log in Postgres. Prometheus: the counters
    learnops_evidence_*; needs about twice the runs, and no database at decision time. With router
    GatewayAPI it must be Prometheus."""
    method: Method | None = None
    """How evidence is computed. Absent: as source asks, Anytime for RunLog, Counters for
    Prometheus. FixedHorizon is one Welch test at maxRuns runs, for those who must report a
    p-value: it decides nothing before, and needs a single step."""
    promote: PromoteTest = PromoteTest()
    """When the candidate has been shown to be good enough."""
    rollback: RollbackTest = RollbackTest()
    """When the candidate has been shown to be worse."""
    # No schema default: always on, it would swallow nearly every roll-back.
    futility: FutilityTest | None = None
    """When the candidate has been shown not to be worth waiting for. Absent: never. Not with a
    promote.margin above 0."""
    guardrails: Guardrails = ()
    """What must not get worse, whatever the loss does. With guardrails on terms, roll-back is
    decided by the weighted mean of the e-values of the loss (0.6) and of the guardrails (0.4), and
    promotion needs each of them. A guardrail on a PromQL query rolls back by itself, after three
    breaches in a row."""
    maturation_seconds: Annotated[Integer, Field(ge=1, le=604_800)] = 600
    """How long a run may take, in seconds, from its registration to its bundle. One that has not
    reported by then counts as loss 1."""
    min_candidate_runs: Annotated[Integer, Field(ge=1, le=1_000_000)] = 50
    """Candidate runs without which nothing is promoted. A roll-back does not wait for them."""
    on_inconclusive: OnInconclusive = OnInconclusive.ROLLBACK
    """What to do at maxRuns or the deadline without a verdict. Rollback: control gets the traffic
    back and the candidate stays Draft. Hold: the shares stay as they are."""
    max_runs: Annotated[Integer, Field(ge=10, le=10_000_000)] = 10_000
    """Runs of all arms together after which the canary is inconclusive. With method FixedHorizon:
    the planned number of runs at which it is looked at, once."""
    deadline_seconds: Annotated[Integer, Field(ge=1, le=31_536_000)] = 1_209_600
    """Seconds from the first step after which the canary is inconclusive."""
    max_staleness_seconds: Annotated[Integer, Field(ge=1, le=86_400)] = 120
    """Age in seconds beyond which evidence is stale: nothing goes up on it."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.method) || (self.method != 'Counters') == (self.source == 'RunLog')",
            message="must fit source: Anytime or FixedHorizon with RunLog, "
            "Counters with Prometheus",
            field_path=".method",
            holds=_method_fits,
        ),
        Rule(
            rule="!has(self.method) || self.method != 'FixedHorizon' || "
            "(!has(self.futility) && "
            "(!has(self.guardrails) || !self.guardrails.exists(it, has(it.term))))",
            message="must be Anytime with futility or guardrails on terms: "
            "one look judges the loss alone",
            field_path=".method",
            holds=_judged_alone,
        ),
        Rule(
            rule="!has(self.futility) || self.promote.margin.matches('^0([.]0+)?$')",
            message="must be left out with a promote.margin above 0: a candidate that may be worse "
            "by the margin would be futile before it is good enough",
            field_path=".futility",
            holds=lambda it: it.futility is None or float(it.promote.margin) == 0.0,
        ),
        Rule(
            rule="self.source == 'RunLog' || !has(self.guardrails) || "
            "!self.guardrails.exists(it, has(it.term))",
            message="must name no term with source Prometheus: counters tell no terms",
            field_path=".guardrails",
            holds=lambda it: not on_terms(it.guardrails) or it.source is Source.RUN_LOG,
        ),
        Rule(
            rule="self.maturationSeconds <= self.deadlineSeconds",
            message="must not be longer than deadlineSeconds",
            field_path=".maturationSeconds",
            holds=lambda it: it.maturation_seconds <= it.deadline_seconds,
        ),
        Rule(
            rule="self.minCandidateRuns <= self.maxRuns",
            message="must not be more than maxRuns",
            field_path=".minCandidateRuns",
            holds=lambda it: it.min_candidate_runs <= it.max_runs,
        ),
    )

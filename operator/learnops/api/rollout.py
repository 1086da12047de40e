"""Strategy and analysis: shared by `CanaryDeployment.spec` and `Doer.spec.rollout`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from learnops.api.common import SET, Fraction, Model, OpenFraction

Percent = Annotated[int, Field(ge=1, le=50)]


class Gate(StrEnum):
    """What lets a canary go to its next step."""

    EVIDENCE = "Evidence"
    TIMED = "Timed"


class CanaryStrategy(Model):
    """Shares of the candidate, rising, and what opens the next one."""

    steps: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=10), SET] = (5, 10, 25, 50)
    gate: Gate = Gate.EVIDENCE
    step_seconds: Annotated[int, Field(ge=0, le=604_800)] = 600


class Strategy(Model):
    """The stages of a rollout."""

    canary: CanaryStrategy = CanaryStrategy()


class Source(StrEnum):
    """Where evidence is read from."""

    RUN_LOG = "RunLog"
    PROMETHEUS = "Prometheus"


class Method(StrEnum):
    """How evidence is computed: Anytime reads the run log, Counters reads Prometheus."""

    ANYTIME = "Anytime"
    COUNTERS = "Counters"


class PromoteTest(Model):
    """Promote when "candidate's mean loss >= control's + margin" is rejected at `level`."""

    level: OpenFraction = "0.05"
    margin: Fraction = "0"


class RollbackTest(Model):
    """Roll back when "candidate's mean loss <= control's + tolerance" is rejected at `level`.

    An absent tolerance equals the promotion margin.
    """

    level: OpenFraction = "0.05"
    tolerance: Fraction | None = None


class OnInconclusive(StrEnum):
    """What happens when `maxRuns` or the deadline is reached without a verdict."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"


class Analysis(Model):
    """The statistical test of a rollout. `method` follows `source` where it is absent."""

    source: Source = Source.RUN_LOG
    method: Method | None = None
    promote: PromoteTest = PromoteTest()
    rollback: RollbackTest = RollbackTest()
    maturation_seconds: Annotated[int, Field(ge=1, le=604_800)] = 600
    min_candidate_runs: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    on_inconclusive: OnInconclusive = OnInconclusive.ROLLBACK
    max_runs: Annotated[int, Field(ge=10, le=10_000_000)] = 10_000
    deadline_seconds: Annotated[int, Field(ge=1, le=31_536_000)] = 1_209_600
    max_staleness_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120

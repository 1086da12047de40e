"""The shadow stage, as a rollout asks for it and as a canary's status shows it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from learnops.api.canary_figures import DifferenceStatus
from learnops.api.common import Integer, Model, Number, StatusModel
from learnops.api.policy import GateOutcome


class ShadowStrategy(Model):
    """Both policies on the same input: the answer is control's, the candidate runs beside it."""

    min_runs: Annotated[Integer, Field(ge=10, le=100_000)] = 50
    """Pairs of runs at which the stage is passed, unless they showed the candidate to be worse."""
    max_duration_seconds: Annotated[Integer, Field(ge=1, le=31_536_000)] = 86_400
    """Seconds after which a stage that has not seen minRuns pairs is inconclusive."""


class ShadowStatus(StatusModel):
    """Where the shadow stage stands: pairs of candidate and control on the same input."""

    start_time: datetime
    """When it began."""
    pairs: Annotated[Integer, Field(ge=0)] = 0
    """Pairs that the evidence holds."""
    loss: Number | None = None
    """Mean loss of the candidate over them, 0 to 1, lower is better."""
    control_loss: Number | None = None
    """Mean loss of control over the same inputs."""
    difference: DifferenceStatus | None = None
    """The running confidence sequence of the mean difference."""
    harm: Number = "1"
    """E-value against "the candidate is not worse than the tolerance"."""
    harm_threshold: Number | None = None
    """The e-value of harm that rejects the candidate: 1/level."""
    outcome: GateOutcome | None = None
    """Passed or Failed; absent while it goes on, or where it ended without either."""

"""What a doer's own runs may set off, and what is watched in them: shared by spec and status."""

from typing import Annotated

from pydantic import Field

from learnops.api.common import Integer, Model, Name, Number, StatusModel
from learnops.api.reward import RewardSpec


class DriftDetection(Model):
    """When the active policy's loss counts as risen since its promotion."""

    false_alarm_every_runs: Annotated[Integer, Field(ge=1_000, le=1_000_000_000)] = 100_000
    """Runs after which, on average, one alarm is raised although nothing has changed. More: fewer
    false alarms, and a rise is found later (by a third to a half for ten times as many)."""


class Learning(Model):
    """What the doer's own runs may set off."""

    drift: DriftDetection = DriftDetection()
    """Detection of a loss that rises after a promotion. The alarm starts a canary of the previous
    policy with half of the runs; the active one stays unless that is shown better."""
    reward: RewardSpec | None = None
    """The reward of a run, for datasets; never evidence of a rollout. Absent: the weights are
    compile 0.3, tests 0.4, errors 0.2 and human 0.1."""


class DriftStatus(StatusModel):
    """The watch over the active policy since its promotion; its figures are as of the last write of
    this status, which a growth of a tenth, the baseline and the alarm bring about."""

    policy: Name
    """The policy that is watched."""
    since_revision: Annotated[Integer, Field(ge=1)]
    """The traffic revision that made it active: only runs drawn from then on count."""
    crl_digest: Annotated[str, Field(max_length=80)] = ""
    """Digest of spec.crl: losses under other weights are not compared, the watch begins anew."""
    runs: Annotated[Integer, Field(ge=0)] = 0
    """Runs outside canaries that the watch has judged."""
    baseline: Number | None = None
    """What the mean loss is held against: the upper bound, with 95 % confidence, of the mean of the
    first 1000 runs. Absent until there are so many."""
    alarm_at_run: Annotated[Integer, Field(ge=1)] | None = None
    """The run whose loss raised the alarm, counted from the promotion. There is one alarm per
    promotion: nothing is judged after it."""
    canary: Name | None = None
    """The CanaryDeployment of the previous policy that the alarm started; absent where that policy
    could not be tried."""

"""CanaryDeployment: proves a candidate policy against the active one."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from learnops.api.common import (
    API_VERSION,
    ATOMIC,
    Conditions,
    ListType,
    Model,
    Name,
    ObjectMeta,
    PrinterColumn,
    Ref,
    Rule,
    StatusModel,
)
from learnops.api.doer import Share
from learnops.api.rollout import Analysis, Strategy


class Run(StrEnum):
    """Whether the canary may go up."""

    RUNNING = "Running"
    PAUSED = "Paused"


class ActionType(StrEnum):
    """A one-off order."""

    ABORT = "Abort"
    RETRY = "Retry"


class Action(Model):
    """Done once per `id` (`status.handledActionID`)."""

    type: ActionType
    id: Annotated[str, Field(min_length=1, max_length=63)]


class CanarySpec(Model):
    """Which candidate, how it is given traffic, how it is judged."""

    doer_ref: Ref
    candidate_refs: Annotated[tuple[Ref, ...], Field(min_length=1, max_length=1), ATOMIC]
    strategy: Strategy = Strategy()
    analysis: Analysis = Analysis()
    run: Run = Run.RUNNING
    action: Action | None = None


class CanaryStage(StrEnum):
    """Where a canary is. All but Pending and Canary are ends."""

    PENDING = "Pending"
    CANARY = "Canary"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    INCONCLUSIVE = "Inconclusive"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    ERROR = "Error"


class Verdict(StrEnum):
    """What the evidence says; latched once it is Promote, Rollback or Futile."""

    PROMOTE = "Promote"
    ROLLBACK = "Rollback"
    FUTILE = "Futile"
    CONTINUE = "Continue"
    HOLD = "Hold"


Number = Annotated[
    str, Field(max_length=32)
]  # a decimal as text: floats are not portable in status


class EvidenceStatus(StatusModel):
    """E-values beside the thresholds at which they decide, as decimal text."""

    promote: Number
    promote_threshold: Number
    rollback: Number
    rollback_threshold: Number


class CandidateStatus(StatusModel):
    """What is known of one candidate."""

    name: Name
    attempt: Annotated[int, Field(ge=1)]
    runs: Annotated[int, Field(ge=0)] = 0
    control_runs: Annotated[int, Field(ge=0)] = 0
    loss: Number | None = None
    control_loss: Number | None = None
    evidence: EvidenceStatus | None = None
    verdict: Verdict = Verdict.CONTINUE


class HistoryEntry(StatusModel):
    """One thing that happened to the canary."""

    time: datetime
    stage: CanaryStage
    percent: Annotated[int, Field(ge=0, le=100)]
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=512)] = ""


class CanaryStatus(StatusModel):
    """Where the canary is and why.

    `evidence_state` is the serialised state of the Counters method with its watermark (compact
    JSON): it is written in the same patch as the verdict that follows from it. `crl_digest` is the
    digest of the doer's CRL configuration under which the evidence is scored.
    """

    observed_generation: Annotated[int, Field(ge=0)] = 0
    fence: Annotated[int, Field(ge=0)] = 0
    stage: CanaryStage | None = None
    step: Annotated[int, Field(ge=0, le=10)] = 0
    step_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    retries: Annotated[int, Field(ge=0)] = 0
    crl_digest: Annotated[str, Field(max_length=80)] | None = None
    waiting_for: Annotated[str, Field(max_length=512)] = ""
    recommendation: Verdict | None = None
    handled_action_id: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, alias="handledActionID"
    )
    shares: Annotated[
        tuple[Share, ...], Field(max_length=2), ListType(kind="map", keys=("policy",))
    ] = ()
    candidates: Annotated[
        tuple[CandidateStatus, ...], Field(max_length=1), ListType(kind="map", keys=("name",))
    ] = ()
    evidence_state: Annotated[str, Field(max_length=65_536)] | None = None
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=20), ATOMIC] = ()
    conditions: Conditions = ()


class CanaryDeployment(Model):
    """A `CanaryDeployment` object."""

    api_version: Literal["learnops.dev/v1alpha1"] = API_VERSION
    kind: Literal["CanaryDeployment"] = "CanaryDeployment"
    metadata: ObjectMeta
    spec: CanarySpec
    status: CanaryStatus = CanaryStatus()

    plural: ClassVar[str] = "canarydeployments"
    short_names: ClassVar[tuple[str, ...]] = ("lcanary",)
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn(name="Doer", json_path=".spec.doerRef.name"),
        PrinterColumn(name="Candidate", json_path=".spec.candidateRefs[0].name"),
        PrinterColumn(name="Stage", json_path=".status.stage"),
        PrinterColumn(name="Verdict", json_path=".status.recommendation"),
        PrinterColumn(name="Waiting For", json_path=".status.waitingFor"),
        PrinterColumn(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )
    cel_rules: ClassVar[tuple[Rule, ...]] = ()

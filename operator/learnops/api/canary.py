"""CanaryDeployment: proves a candidate policy against the active one."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from learnops.api.canary_figures import DifferenceStatus, EvidenceStatus, SampleRatioStatus
from learnops.api.candidates import (
    MOST_CANDIDATES,
    SEVERAL_BY_RUN_LOG,
    SEVERAL_WITHOUT_SHADOW,
    Candidates,
)
from learnops.api.common import (
    API_VERSION,
    ATOMIC,
    FENCED,
    Conditions,
    Integer,
    ListType,
    Model,
    Name,
    Number,
    ObjectMeta,
    PrinterColumn,
    Ref,
    Rule,
    StatusModel,
)
from learnops.api.guardrails import QueryStatus
from learnops.api.rollout import ONE_LOOK_ONE_STEP, SHADOW_FROM_RUN_LOG, Analysis, Strategy
from learnops.api.served import Share
from learnops.api.shadow import ShadowStatus as ShadowStatus


class Run(StrEnum):
    """Whether the canary may go up."""

    RUNNING = "Running"
    PAUSED = "Paused"


class ActionType(StrEnum):
    """A one-off order."""

    ABORT = "Abort"
    RETRY = "Retry"


class Action(Model):
    """A one-off order: done once per `id`."""

    type: ActionType
    """What to do. Abort: give control all traffic and end the canary; the candidate stays Draft.
    Retry: start an ended canary again as a new attempt."""
    id: Annotated[str, Field(min_length=1, max_length=63)]
    """Names the order: one whose id stands in status.handledActionID is not done again."""


def _unchanging(what: str) -> Rule:
    return Rule(
        rule="self == oldSelf",
        message=f"must not change: create a new CanaryDeployment for another {what}",
    )


class CanarySpec(Model):
    """Which candidate, how it is given traffic, how it is judged."""

    doer_ref: Annotated[Ref, _unchanging("doer")]
    """The doer whose traffic is shared."""
    candidate_refs: Annotated[Candidates, _unchanging("candidate")]
    """The policies to prove against the doer's active one. Several are tried at once, each against
    control: what is shown worse is dropped, and of those that are shown better at first the best is
    promoted."""
    strategy: Annotated[Strategy, _unchanging("strategy")] = Strategy()
    """Which shares the candidate gets, and when. With several, each step is the share of each of
    them, at most 100/(candidates + 1) percent, so that control keeps no less than any."""
    analysis: Annotated[Analysis, _unchanging("analysis")] = Analysis()
    """How the candidate is judged."""
    run: Run = Run.RUNNING
    """Running, or Paused: the share does not go up and nothing is promoted; a candidate that is
    shown to be worse is still rolled back."""
    action: Action | None = None
    """A one-off order to this canary."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        ONE_LOOK_ONE_STEP,
        SHADOW_FROM_RUN_LOG,
        SEVERAL_BY_RUN_LOG,
        SEVERAL_WITHOUT_SHADOW,
    )


class CanaryStage(StrEnum):
    """Where a canary is. All but Pending, Shadow and Canary are ends."""

    PENDING = "Pending"
    SHADOW = "Shadow"
    CANARY = "Canary"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    INCONCLUSIVE = "Inconclusive"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    ERROR = "Error"


class Verdict(StrEnum):
    """What the evidence says; latched once it is Rollback or Futile.

    Promote is latched where counters are the source; the run log shows it at every look.
    """

    PROMOTE = "Promote"
    ROLLBACK = "Rollback"
    FUTILE = "Futile"
    CONTINUE = "Continue"
    HOLD = "Hold"


class CandidateStatus(StatusModel):
    """What is known of one candidate."""

    name: Name
    """The candidate policy."""
    attempt: Annotated[Integer, Field(ge=1)]
    """How often this content has been tried, this time included; a later attempt must show more."""
    runs: Annotated[Integer, Field(ge=0)] = 0
    """Runs of the candidate that the evidence holds."""
    control_runs: Annotated[Integer, Field(ge=0)] = 0
    """Runs of control that the evidence holds."""
    loss: Number | None = None
    """Mean loss of the candidate, 0 to 1, lower is better."""
    control_loss: Number | None = None
    """Mean loss of control over the same time."""
    difference: DifferenceStatus | None = None
    """The running confidence sequence of the difference; only with source RunLog."""
    runs_still_needed: Annotated[Integer, Field(ge=0)] | None = None
    """Runs of all arms until a verdict, if they are like those so far: a forecast, minutes old, of
    at most maxRuns (and 20000). Absent while nothing is known and after the end."""
    win_rate_percent: Number | None = None
    """Percentage of pairs of a candidate's and a control's run in which the candidate's loss is
    lower, ties half. Decides nothing. Absent with fewer than 10 runs in an arm."""
    cost_delta: Number | None = None
    """Mean cost of a run in USD, candidate's minus control's. Decides nothing."""
    evidence: EvidenceStatus | None = None
    """How strong the evidence is, beside what it takes."""
    queries: Annotated[
        tuple[QueryStatus, ...], Field(max_length=9), ListType(kind="map", keys=("name",))
    ] = ()
    """Each guardrail of the spec that has a PromQL query; also while there is no evidence."""
    verdict: Verdict = Verdict.CONTINUE
    """What the evidence says of this candidate."""


class HistoryEntry(StatusModel):
    """One thing that happened to the canary."""

    time: datetime
    """When."""
    stage: CanaryStage
    """The stage that it led to."""
    percent: Annotated[Integer, Field(ge=0, le=100)]
    """The candidate's share from then on."""
    reason: Annotated[str, Field(max_length=64)]
    """Why, in one CamelCase word."""
    message: Annotated[str, Field(max_length=512)] = ""
    """Why, in a sentence."""


class CanaryStatus(StatusModel):
    """Where the canary is and why."""

    observed_generation: Annotated[Integer, Field(ge=0)] = 0
    """metadata.generation that the operator last looked at."""
    fence: Annotated[Integer, Field(ge=0)] = 0
    """Which operator instance wrote this: it only rises, so that a replaced one cannot write."""
    stage: CanaryStage | None = None
    """Pending, Shadow, Canary, or how it ended: Promoted, RolledBack (worse, or futile),
    Inconclusive (no verdict in time), Aborted (by a person), Superseded (the doer turned to
    another policy), Error."""
    step: Annotated[Integer, Field(ge=0, le=10)] = 0
    """Index of the step in force, from 0; of the candidate that is farthest."""
    step_time: datetime | None = None
    """When the step in force began."""
    start_time: datetime | None = None
    """When the candidate first got traffic in this attempt."""
    end_time: datetime | None = None
    """When the canary ended."""
    retries: Annotated[Integer, Field(ge=0)] = 0
    """How many Retry actions were done."""
    crl_digest: Annotated[str, Field(max_length=80)] | None = None
    """Digest of the doer's CRL configuration under which the evidence is scored; another one
    starts the evidence anew."""
    estimated_decision_time: datetime | None = None
    """When the runs still needed will be there at the doer's volume of the last seven days,
    rounded. Absent where that is not known; condition LowTraffic is True beyond the deadline."""
    generation: Annotated[Integer, Field(ge=1)] = 1
    """Which analysis generation of this attempt the evidence is of: each change of the doer's CRL
    while the candidate has traffic begins another, whose evidence starts over."""
    waiting_for: Annotated[str, Field(max_length=512)] = ""
    """What the canary is waiting for, in a sentence."""
    recommendation: Verdict | None = None
    """What the operator makes of the evidence."""
    handled_action_id: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, alias="handledActionID"
    )
    """The id of the last action that was done."""
    shares: Annotated[
        tuple[Share, ...], Field(max_length=6), ListType(kind="map", keys=("policy",))
    ] = ()
    """The shares in force: a mirror of the doer's traffic."""
    candidates: Annotated[
        tuple[CandidateStatus, ...],
        Field(max_length=MOST_CANDIDATES),
        ListType(kind="map", keys=("name",)),
    ] = ()
    """What is known of each candidate."""
    shadow: ShadowStatus | None = None
    """Where the shadow stage stands; absent where the strategy has none."""
    sample_ratio: SampleRatioStatus | None = None
    """Whether the arms got the runs that they were meant to get. With several candidates: of the
    one whose split is the least likely."""
    evidence_state: Annotated[str, Field(max_length=65_536)] | None = None
    """The state of the Counters method with its watermark, compact JSON: written together with
    the verdict that follows from it."""
    history: Annotated[tuple[HistoryEntry, ...], Field(max_length=20), ATOMIC] = ()
    """What happened to the canary, oldest first; the last 20."""
    conditions: Conditions = ()
    """Ready, Reconciling and Stalled, as kstatus reads them; EvidenceAvailable; LowTraffic."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (FENCED,)


class CanaryDeployment(Model):
    """Proves a candidate policy against the active one: a growing share of runs goes to it until
    the evidence promotes it or rolls it back."""

    api_version: Literal["learnops.dev/v1alpha1"] = API_VERSION
    kind: Literal["CanaryDeployment"] = "CanaryDeployment"
    metadata: ObjectMeta
    spec: CanarySpec
    """Which candidate, how it is given traffic, how it is judged."""
    status: CanaryStatus = CanaryStatus()
    """Where the canary is and why; written by the operator."""

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

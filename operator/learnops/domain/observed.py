"""What the operator saw of one doer and everything that belongs to it: the planner's only input.

One reconcile key is one doer (namespace, name): the Doer, its Policies and its CanaryDeployments
are decided together, so that no two workers ever race for the same traffic. A part that could not
be read is an `Unavailable` with a reason: staleness and failure are data, not exceptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.policy import Policy, Stage
from learnops.domain.unavailable import Unavailable


@dataclass(frozen=True, kw_only=True)
class Key:
    """One unit of reconciliation: a doer by name (it need not exist)."""

    namespace: str
    doer: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.doer}"


@dataclass(frozen=True, kw_only=True)
class InvalidObject:
    """An object whose spec this version cannot read; it is reported and otherwise ignored.

    `reported`: its status already says so (`Stalled`/`InvalidSpec` with this message at this
    generation), so that the steady state writes nothing.
    """

    kind: str
    name: str
    uid: str
    generation: int
    resource_version: str
    message: str
    reported: bool = False


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One row of `policy_promotions`: a stage move of a policy."""

    transition_id: str  # unique per move; a repeated write of the same id is a no-op
    policy: str
    digest: str
    identity: str
    from_stage: Stage | None
    to_stage: Stage
    by: str
    why: str
    rollout: str = ""  # rollout id (salt), empty where no canary was involved
    reason: str = ""  # why a rollout ended, in one CamelCase word; empty for moves up
    culprit: str = ""  # "loss", or the guardrail's term or name; empty unless it was shown worse


@dataclass(frozen=True, kw_only=True)
class History:
    """What the run log remembers of the doer's policies, oldest first; survives the objects."""

    promotions: tuple[Promotion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EValue:
    """One e-process at the end of its last block."""

    log_e: float
    threshold: float  # 1/level; crossed when e >= threshold
    crossed_at: int | None = None  # run number (registration order) of the first crossing


@dataclass(frozen=True, kw_only=True)
class GuardrailReading:
    """One guardrail of the canary; means are of the normalised term, over the runs of an arm."""

    term: str
    rollback: EValue  # a part of the weighted mean, no test of its own
    promote: EValue
    candidate_mean: float | None
    control_mean: float | None
    breaches: int  # observed, never imputed, of the candidate


@dataclass(frozen=True, kw_only=True)
class DifferenceReading:
    """Candidate's mean loss - control's, and the bounds that hold it with 95 % at every look."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class SampleRatioReading:
    """Whether the arms got the runs that they were meant to get; nothing goes up while not."""

    assigned: EValue
    completed: EValue  # the same on runs that were reported
    expected_share: float | None  # of the candidate, 0 to 1; None without a run
    observed_share: float | None
    alarm: bool  # as it is now, not latched


@dataclass(frozen=True, kw_only=True)
class GenerationReading:
    """An analysis generation as it is on record: its runs are judged apart from those before."""

    number: int  # from 1
    attempt: int
    crl_digest: str  # of the configuration by which its runs are scored; empty: not readable


@dataclass(frozen=True, kw_only=True)
class EvidenceReading:
    """What either method (Anytime, Counters) says of one candidate against control.

    `ramp` is the test that leaving the present share needs (None at the last step or with a timed
    gate). `prefix_current` says that
    every run registered more than maturation + maxStaleness ago is in it. `state` is what Counters
    wants persisted with the status write, None for Anytime, whose state is the run log itself.
    """

    promote: EValue
    rollback: EValue
    ramp: EValue | None
    runs: int  # runs of both arms that the evidence holds
    all_runs: int  # those of other candidates too; what maxRuns bounds
    candidate_runs: int
    control_runs: int
    candidate_loss: float | None  # mean loss in [0, 1]
    control_loss: float | None
    prefix_current: bool
    # Of control's runs, the share that was resolved by timeout; None: not known.
    control_timeout_fraction: float | None
    futility: EValue | None = None  # None: the canary is never ended as futile
    guardrails: tuple[GuardrailReading, ...] = ()  # with them, rollback is the weighted mean
    culprit: str | None = None  # "loss" or a term, once rollback crossed
    difference: DifferenceReading | None = None
    p_values: tuple[float, float] | None = None  # promote, roll back; of one look only
    sample_ratio: SampleRatioReading | None = None  # None: the source does not tell it
    # The newest, or the one before it whose runs rolled back; None: the source has none.
    generation: GenerationReading | None = None
    state: str | None = None


@dataclass(frozen=True, kw_only=True)
class DriftReading:
    """What the watch over the active policy has found. `baseline`: what the loss is held against,
    None while it is learned. `alarm_at_run` counts from the promotion."""

    runs: int
    baseline: float | None = None
    alarm_at_run: int | None = None


@dataclass(frozen=True, kw_only=True)
class TermsReading:
    """Which terms the last runs of the active policy reported, as of a minute ago: of `runs` runs
    (at most 200), how many have each term, the extra ones too."""

    policy: str
    runs: int
    reported: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class ShadowReading:
    """What the pairs of a shadow stage say: candidate and control on the same input.

    `harm` is the test of "not worse than the tolerance"; `difference` is None without a pair.
    """

    harm: EValue
    pairs: int
    candidate_loss: float | None  # mean loss in [0, 1]
    control_loss: float | None
    difference: DifferenceReading | None


@dataclass(frozen=True, kw_only=True)
class OtherSteps:
    """Steps with which a new canary of the same candidate would take `days`."""

    steps: tuple[int, ...]
    days: float
    in_time: bool  # before the deadline that the spec gives


@dataclass(frozen=True, kw_only=True)
class FiguresReading:
    """What people ask of a canary besides the evidence, as of some minutes ago; decides nothing.

    `runs_still_needed` counts runs of all arms, None where nothing forecasts them; `likely`: most
    of the canaries that were played came to a verdict in that many, not just to `maxRuns`.
    `other_steps` is known where the decision lies beyond the deadline and other steps would change
    that.
    """

    as_of: datetime
    runs_still_needed: int | None
    likely: bool = True
    runs_per_day: float | None = None  # the doer's, over seven days; None: not known
    other_steps: OtherSteps | None = None
    win_rate: float | None = None  # 0 to 1
    cost_delta: float | None = None  # USD a run, candidate - control


@dataclass(frozen=True, kw_only=True)
class QueryReading:
    """The answer to one guardrail's query: one finite figure, evaluated `at` Prometheus' time."""

    value: float
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RouteReading:
    """The user's HTTPRoute as last seen (GatewayAPI only).

    `slots` are (backend name, weight, ready) in the order of `Doer.spec.traffic.backends`;
    `ready` means the Service exists and an endpoint of it is ready. `accepted` is true when each
    parent accepted the route's current generation.
    """

    generation: int
    resource_version: str
    slots: tuple["Slot", "Slot"]
    accepted: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One backend of the route."""

    backend: str
    weight: int
    ready: bool
    policy_digest: (
        str | None
    )  # the digest that the ready pods behind it report; None: none or mixed


Evidence: TypeAlias = EvidenceReading | ShadowReading | Unavailable
QueryAnswer: TypeAlias = QueryReading | Unavailable


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything `decide` may look at. Maps are by object name; canaries oldest first."""

    key: Key
    now: datetime
    fence: int
    doer: Doer | None
    policies: dict[str, Policy]
    canaries: tuple[CanaryDeployment, ...]
    invalid: tuple[InvalidObject, ...] = ()
    history: History | Unavailable | None = None  # None: not needed for this pass
    attempts: dict[str, int] | Unavailable | None = None  # finished or live rollouts per identity
    evidence: dict[str, Evidence] = field(default_factory=dict)  # by candidate, of the live canary
    figures: dict[str, FiguresReading] = field(default_factory=dict)  # likewise
    drift: DriftReading | Unavailable | None = None  # None: not needed for this pass
    terms: TermsReading | Unavailable | None = None  # None: not read yet
    # By candidate and guardrail name, of the live canary.
    queries: dict[str, dict[str, QueryAnswer]] = field(default_factory=dict)
    # Two answers nearer to each other than this are one look at the same state of affairs.
    query_spacing: timedelta = timedelta(seconds=9)
    route: RouteReading | Unavailable | None = None  # None: the doer's router is the SDK
    route_owner: str | None = None  # another doer that already holds the same route
    canaries_enabled: bool = True  # False: the operator was told to let no candidate go up

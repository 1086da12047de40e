"""Doer: an agent role that learns."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from learnops.api.assignment import Assignment, Unit
from learnops.api.common import (
    API_VERSION,
    ATOMIC,
    FENCED,
    Conditions,
    Integer,
    ListType,
    Model,
    Name,
    NoSchemaDefault,
    ObjectMeta,
    PrinterColumn,
    Ref,
    Rule,
    StatusModel,
)
from learnops.api.crl import CRL as CRL
from learnops.api.crl import CRLStatus, Phase
from learnops.api.learning import DriftStatus, Learning
from learnops.api.redaction import Redaction
from learnops.api.rollout import ONE_LOOK_ONE_STEP, SHADOW_FROM_RUN_LOG, Analysis, Source, Strategy
from learnops.api.served import TrafficStatus


class Router(StrEnum):
    """Who sends a run to its policy."""

    SDK = "SDK"
    GATEWAY_API = "GatewayAPI"


def _gateway_is_named(traffic: "Traffic") -> bool:
    given = (traffic.route_ref is not None, traffic.backends is not None)
    return traffic.router is not Router.GATEWAY_API or all(given)


def _sdk_names_none(traffic: "Traffic") -> bool:
    given = (traffic.route_ref is not None, traffic.backends is not None)
    return traffic.router is not Router.SDK or not any(given)


Backends = Annotated[
    tuple[Name, ...],
    Field(min_length=2, max_length=2),
    ATOMIC,
    Rule(
        rule="self[0] != self[1]",
        message="must name two different Services",
        holds=lambda backends: backends[0] != backends[1],
    ),
]


class Traffic(Model):
    """How runs reach a policy. With `GatewayAPI` two backends of the user's HTTPRoute are slots."""

    router: Router = Router.SDK
    """Who sends a run to its policy. SDK: the agent's SDK draws. GatewayAPI: the weights of two
    backends of an HTTPRoute."""
    route_ref: Ref | None = None
    """The HTTPRoute whose weights the operator sets; only with GatewayAPI."""
    backends: Backends | None = None
    """The two Services of that route between which traffic is split; only with GatewayAPI. Control
    and candidate take turns in them."""
    settle_seconds: Annotated[Integer, Field(ge=0, le=3600), NoSchemaDefault()] = 30
    """Seconds after a change of weights in which runs are evidence for neither arm, 30 where it is
    absent; only with GatewayAPI."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.router != 'GatewayAPI' || (has(self.routeRef) && has(self.backends))",
            message="must name routeRef and backends when router is GatewayAPI",
            holds=_gateway_is_named,
        ),
        Rule(
            rule="self.router != 'SDK' || !(has(self.routeRef) || has(self.backends))",
            message="must not name routeRef or backends when router is SDK",
            holds=_sdk_names_none,
        ),
    )


class Revert(StrEnum):
    """What a policyRef set back to the previous policy does."""

    IMMEDIATE = "Immediate"
    CANARY = "Canary"


class Rollout(Model):
    """Strategy and analysis of the rollouts that a changed `policyRef` starts."""

    strategy: Strategy = Strategy()
    """Which shares a candidate gets, and when."""
    analysis: Analysis = Analysis()
    """How a candidate is judged."""
    revert: Revert = Revert.IMMEDIATE
    """What a policyRef set back to the previous policy does. Immediate: that policy gets all
    traffic at once. Canary: it has to prove itself like any other."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (ONE_LOOK_ONE_STEP, SHADOW_FROM_RUN_LOG)


def _gateway_is_judged_by_counters(spec: "DoerSpec") -> bool:
    behind_gateway = spec.traffic.router is Router.GATEWAY_API
    return not behind_gateway or spec.rollout.analysis.source is Source.PROMETHEUS


def _gateway_draws_each_run(spec: "DoerSpec") -> bool:
    return spec.traffic.router is not Router.GATEWAY_API or spec.assignment.unit is Unit.RUN


class DoerSpec(Model):
    """What a role is and how its policies are rolled out."""

    policy_ref: Ref
    """The policy to run. The first one becomes active at once; a change starts a rollout."""
    phase: Phase = ""
    """The phase of the workflow that this role works in, such as plan or review; it chooses among
    `crl.overrides`."""
    crl: CRL = CRL()
    """How a run is scored."""
    assignment: Assignment = Assignment()
    """For what an arm is drawn: each run, a session, or a tenant for a while."""
    traffic: Traffic = Traffic()
    """How runs reach a policy."""
    rollout: Rollout = Rollout()
    """How a changed policyRef is rolled out."""
    redaction: Redaction = Redaction()
    """Personal data that is taken out of bundles before they are stored."""
    learning: Learning = Learning()
    """What the doer's own runs may set off."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="self.traffic.router != 'GatewayAPI' || "
            "self.rollout.analysis.source == 'Prometheus'",
            message="must be Prometheus when router is GatewayAPI: "
            "a gateway does not tell with which probability it chose",
            field_path=".rollout.analysis.source",
            holds=_gateway_is_judged_by_counters,
        ),
        Rule(
            rule="self.traffic.router != 'GatewayAPI' || "
            "self.?assignment.?unit.orValue('Run') == 'Run'",
            message="must be Run when router is GatewayAPI: a gateway draws for each request",
            field_path=".assignment.unit",
            holds=_gateway_draws_each_run,
        ),
    )

    def scoring(self, status: "DoerStatus") -> CRL:
        """`crl` as it is in force in this doer's phase; without weights while none are known."""
        observed = None if status.crl is None else status.crl.weights
        return self.crl.in_phase(self.phase).weighed(observed)


class PendingAudit(StatusModel):
    """A stage move down that is not yet in `policy_promotions`."""

    transition_id: Annotated[str, Field(max_length=200)]
    """Unique per move: writing it twice makes one row."""
    policy: Name
    """The policy that moved."""
    digest: Annotated[str, Field(max_length=80)]
    """Its digest."""
    identity: Annotated[str, Field(max_length=80)]
    """Its identity: the digest of its content alone."""
    from_stage: Annotated[str, Field(max_length=16)]
    """The stage it left."""
    to_stage: Annotated[str, Field(max_length=16)]
    """The stage it came to."""
    by: Annotated[str, Field(max_length=253)]
    """Who moved it."""
    why: Annotated[str, Field(max_length=512)]
    """Why."""
    rollout: Annotated[str, Field(max_length=64)] = ""
    """The rollout that ended with this move."""
    outcome: Annotated[str, Field(max_length=16)] = ""
    """How it ended: the stage that its CanaryDeployment comes to."""
    reason: Annotated[str, Field(max_length=64)] = ""
    """Why, in one CamelCase word."""
    culprit: Annotated[str, Field(max_length=63)] = ""
    """What told most against the policy: loss, or a guardrail's term or name. Empty unless it was
    shown worse."""


class DoerStatus(StatusModel):
    """What the operator made of the Doer."""

    observed_generation: Annotated[Integer, Field(ge=0)] = 0
    """metadata.generation that the operator last looked at."""
    fence: Annotated[Integer, Field(ge=0)] = 0
    """Which operator instance wrote this: it only rises, so that a replaced one cannot write."""
    traffic: TrafficStatus | None = None
    """What is served: routers follow this and nothing else."""
    active_policy: Name | None = None
    """The policy that has been promoted last."""
    previous_policy: Name | None = None
    """The policy that was active before."""
    handled_policy_ref: Name | None = None
    """The policyRef that has been acted on; a rollout starts when spec differs from it."""
    current_rollout: Name | None = None
    """The CanaryDeployment that is live."""
    pending_audit: Annotated[
        tuple[PendingAudit, ...],
        Field(max_length=20),
        ListType(kind="map", keys=("transitionId",)),
    ] = ()
    """Stage moves down that wait to be written to policy_promotions."""
    crl: CRLStatus | None = None
    """The weights that runs are scored by, where the spec has none; what they do not report."""
    drift: DriftStatus | None = None
    """The watch for a loss that rises after a promotion; absent before the first one."""
    conditions: Conditions = ()
    """Ready, Reconciling and Stalled, as kstatus reads them, SpecBehind, Drifting and
    TermsMissing."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        FENCED,
        Rule(
            rule="!has(oldSelf.traffic) || has(self.traffic)",
            message="must not be removed: routers follow it",
            field_path=".traffic",
        ),
    )


class Doer(Model):
    """An agent role that learns: which policy it runs, how its runs are scored, and how another
    policy is rolled out."""

    api_version: Literal["learnops.dev/v1alpha1"] = API_VERSION
    kind: Literal["Doer"] = "Doer"
    metadata: ObjectMeta
    spec: DoerSpec
    """What the role is and how its policies are rolled out."""
    status: DoerStatus = DoerStatus()
    """What the operator made of it."""

    plural: ClassVar[str] = "doers"
    short_names: ClassVar[tuple[str, ...]] = ("doer",)
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn(name="Active", json_path=".status.activePolicy"),
        PrinterColumn(name="Rollout", json_path=".status.currentRollout"),
        PrinterColumn(name="Revision", json_path=".status.traffic.revision", type="integer"),
        PrinterColumn(name="Ready", json_path='.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn(name="Reason", json_path='.status.conditions[?(@.type=="Ready")].reason'),
        PrinterColumn(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )

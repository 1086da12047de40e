"""Doer: an agent role that learns."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from learnops.api.common import (
    API_VERSION,
    ATOMIC,
    Conditions,
    Decimal,
    ListType,
    Model,
    Name,
    ObjectMeta,
    PrinterColumn,
    Ref,
    Rule,
    StatusModel,
)
from learnops.api.rollout import Analysis, Strategy


class CRLWeights(Model):
    """Weight of each CRL term; a term left out has weight 0 and is not in use."""

    gate_pass_rate: Decimal | None = None
    contradictions: Decimal | None = None
    grounding: Decimal | None = None
    cost_over_budget: Decimal | None = None
    latency_p95: Decimal | None = Field(default=None, alias="latencyP95")
    security_criticals: Decimal | None = None
    api_breakages: Decimal | None = None
    db_migration_fail: Decimal | None = None
    rag_coverage: Decimal | None = None


class CRLBudget(Model):
    """What a run may cost and take where the run itself states no budget."""

    cost_usd: Decimal | None = Field(default=None, alias="costUSD")
    latency_milliseconds: Annotated[int, Field(ge=1, le=86_400_000)] | None = None


class CRL(Model):
    """How a run of this doer is scored."""

    weights: CRLWeights
    budget: CRLBudget = CRLBudget()


class Router(StrEnum):
    """Who sends a run to its policy."""

    SDK = "SDK"
    GATEWAY_API = "GatewayAPI"


class Traffic(Model):
    """How runs reach a policy. With `GatewayAPI` two backends of the user's HTTPRoute are slots."""

    router: Router = Router.SDK
    route_ref: Ref | None = None
    backends: Annotated[tuple[Name, ...], Field(min_length=2, max_length=2), ATOMIC] | None = None
    settle_seconds: Annotated[int, Field(ge=0, le=3600)] = 30


class Revert(StrEnum):
    """What a policyRef set back to the previous policy does."""

    IMMEDIATE = "Immediate"
    CANARY = "Canary"


class Rollout(Model):
    """Strategy and analysis of the rollouts that a changed `policyRef` starts."""

    strategy: Strategy = Strategy()
    analysis: Analysis = Analysis()
    revert: Revert = Revert.IMMEDIATE


class DoerSpec(Model):
    """What a role is and how its policies are rolled out."""

    policy_ref: Ref
    crl: CRL
    traffic: Traffic = Traffic()
    rollout: Rollout = Rollout()


class Share(StatusModel):
    """The percentage of runs that are assigned to a policy."""

    policy: Name
    percent: Annotated[int, Field(ge=0, le=100)]


class TrafficStatus(StatusModel):
    """All that the SDK's snapshot is made of; its revision only rises.

    `salt` keys the hash that draws arms and is the id of the rollout in the run log:
    the canary's UID, a dot, and the number of its Retry actions.
    """

    revision: Annotated[int, Field(ge=1)]
    salt: Annotated[str, Field(max_length=64)] = ""
    active: Name
    canary: Name | None = None
    shares: Annotated[
        tuple[Share, ...], Field(min_length=1, max_length=2), ListType(kind="map", keys=("policy",))
    ]
    active_backend: Name | None = None
    """With GatewayAPI: the backend that carries the active policy; the other is the candidate's."""


class PendingAudit(StatusModel):
    """A stage move down that is not yet in `policy_promotions`."""

    transition_id: Annotated[str, Field(max_length=200)]
    policy: Name
    digest: Annotated[str, Field(max_length=80)]
    identity: Annotated[str, Field(max_length=80)]
    from_stage: Annotated[str, Field(max_length=16)]
    to_stage: Annotated[str, Field(max_length=16)]
    by: Annotated[str, Field(max_length=253)]
    why: Annotated[str, Field(max_length=512)]
    rollout: Annotated[str, Field(max_length=64)] = ""
    """The rollout that ended with this move."""
    outcome: Annotated[str, Field(max_length=16)] = ""
    """How it ended: the stage that its CanaryDeployment comes to."""
    reason: Annotated[str, Field(max_length=64)] = ""
    """Why, in one CamelCase word."""


class DoerStatus(StatusModel):
    """What the operator made of the Doer."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    fence: Annotated[int, Field(ge=0)] = 0
    traffic: TrafficStatus | None = None
    active_policy: Name | None = None
    previous_policy: Name | None = None
    handled_policy_ref: Name | None = None
    current_rollout: Name | None = None
    pending_audit: Annotated[
        tuple[PendingAudit, ...],
        Field(max_length=20),
        ListType(kind="map", keys=("transitionId",)),
    ] = ()
    conditions: Conditions = ()


class Doer(Model):
    """A `Doer` object."""

    api_version: Literal["learnops.dev/v1alpha1"] = API_VERSION
    kind: Literal["Doer"] = "Doer"
    metadata: ObjectMeta
    spec: DoerSpec
    status: DoerStatus = DoerStatus()

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
    cel_rules: ClassVar[tuple[Rule, ...]] = ()

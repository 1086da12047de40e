"""Policy: an immutable version of what a doer runs with."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from learnops.api.common import (
    API_VERSION,
    ATOMIC,
    FENCED,
    Conditions,
    Decimal,
    Fraction,
    Integer,
    ListType,
    Model,
    Name,
    ObjectMeta,
    PrinterColumn,
    Ref,
    Rule,
    StatusModel,
    matching,
)

SemVer = Annotated[
    str,
    Field(max_length=64),
    matching(
        r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?",
        "must be a semantic version, e.g. 2.0.0 or 2.1.0-rc.1",
    ),
]


class FewShot(Model):
    """One worked example in a prompt."""

    input: Annotated[str, Field(max_length=8192)]
    """What the doer is asked."""
    output: Annotated[str, Field(max_length=8192)]
    """What it should answer."""


class PromptVariant(Model):
    """A system prompt with its examples."""

    name: Name
    """Name of the variant."""
    system: Annotated[str, Field(min_length=1, max_length=65_536)]
    """The system prompt."""
    few_shot: Annotated[tuple[FewShot, ...], Field(max_length=16), ATOMIC] = ()
    """Worked examples, in the order in which the prompt shows them."""


class Prompts(Model):
    """The prompt of a policy."""

    variants: Annotated[
        tuple[PromptVariant, ...],
        Field(min_length=1, max_length=1),
        ListType(kind="map", keys=("name",)),
    ]
    """The prompt: one variant."""


class ModelVariant(Model):
    """A model that the doer calls."""

    name: Name
    """Name of the variant."""
    model: Annotated[str, Field(min_length=1, max_length=253)]
    """The model as its server knows it, e.g. llama3.2:3b."""


class Models(Model):
    """The model of a policy."""

    variants: Annotated[
        tuple[ModelVariant, ...],
        Field(min_length=1, max_length=1),
        ListType(kind="map", keys=("name",)),
    ]
    """The model: one variant."""


class HParams(Model):
    """Sampling parameters, handed to the agent."""

    temperature: Decimal | None = None
    """Sampling temperature, a decimal as text."""
    top_p: Fraction | None = None
    """Probability mass that sampling keeps, a decimal from 0 to 1 as text."""
    top_k: Annotated[Integer, Field(ge=1, le=1_000_000)] | None = None
    """Number of tokens that sampling keeps."""
    max_tokens: Annotated[Integer, Field(ge=1, le=10_000_000)] | None = None
    """Longest answer, in tokens."""


ToolName = Annotated[str, Field(min_length=1, max_length=128)]


class PolicySpec(Model):
    """The content of a policy; it never changes.

    No field here has a schema default: the digest is made of what the user wrote, and a default
    that a later version adds must not change it.
    """

    doer_ref: Ref
    """The doer that this is a policy of."""
    version: SemVer
    """Semantic version, e.g. 2.0.0."""
    parent_ref: Ref | None = None
    """The policy that this one was made from."""
    prompts: Prompts | None = None
    """What the doer is told."""
    models: Models | None = None
    """Which model it calls."""
    hparams: HParams | None = None
    """Sampling parameters."""
    tools_allowlist: (
        Annotated[tuple[ToolName, ...], Field(max_length=128), ListType(kind="set")] | None
    ) = None
    """Tools that the doer may call. Absent: the policy says nothing about tools; empty: none."""


class Stage(StrEnum):
    """How far a policy has come."""

    DRAFT = "Draft"
    SHADOW = "Shadow"
    CANARY = "Canary"
    ACTIVE = "Active"
    ARCHIVED = "Archived"
    REJECTED = "Rejected"


class GateName(StrEnum):
    """A gate between two stages."""

    SHADOW = "Shadow"
    CANARY = "Canary"


class GateOutcome(StrEnum):
    """How a gate ended."""

    PASSED = "Passed"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class GateResult(StatusModel):
    """The outcome of one gate and where its evidence stands."""

    name: GateName
    """The gate."""
    outcome: GateOutcome
    """How it ended; Skipped where the rollout's strategy leaves the stage out."""
    time: datetime
    """When."""
    evidence_ref: Annotated[str, Field(max_length=253)]
    """Where the evidence stands: the CanaryDeployment and its attempt."""


class StageMove(StatusModel):
    """One stage move."""

    from_stage: Stage | None = Field(default=None, alias="from")
    """The stage it left; absent for the first."""
    to_stage: Stage = Field(alias="to")
    """The stage it came to."""
    by: Annotated[str, Field(max_length=253)]
    """Who moved it."""
    at: datetime
    """When."""
    why: Annotated[str, Field(max_length=512)]
    """Why."""


class PolicyStatus(StatusModel):
    """Digest, lineage and stage."""

    observed_generation: Annotated[Integer, Field(ge=0)] = 0
    """metadata.generation that the operator last looked at."""
    fence: Annotated[Integer, Field(ge=0)] = 0
    """Which operator instance wrote this: it only rises, so that a replaced one cannot write."""
    digest: Annotated[str, Field(max_length=80)] = ""
    """Begins with "v1:", then the SHA-256 of the canonical JSON of the fields that spec sets."""
    identity: Annotated[str, Field(max_length=80)] = ""
    """The digest without version, parentRef and doerRef: what counts as the same candidate."""
    lineage: Annotated[tuple[Name, ...], Field(max_length=100), ATOMIC] = ()
    """The policies that this one descends from, oldest first."""
    stage: Stage | None = None
    """Draft, Shadow (runs beside control), Canary (on trial), Active, Archived
    (was active), or Rejected (shown to be worse)."""
    gates: Annotated[
        tuple[GateResult, ...], Field(max_length=8), ListType(kind="map", keys=("name",))
    ] = ()
    """How each gate ended."""
    history: Annotated[tuple[StageMove, ...], Field(max_length=10), ATOMIC] = ()
    """The last 10 stage moves, oldest first."""
    conditions: Conditions = ()
    """Ready, Reconciling and Stalled, as kstatus reads them."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (FENCED,)


def _has_another_parent(policy: "Policy") -> bool:
    return policy.spec.parent_ref is None or policy.spec.parent_ref.name != policy.metadata.name


class Policy(Model):
    """An immutable version of what a doer runs with: prompt, model, parameters, tools."""

    api_version: Literal["learnops.dev/v1alpha1"] = API_VERSION
    kind: Literal["Policy"] = "Policy"
    metadata: ObjectMeta
    spec: Annotated[
        PolicySpec,
        Rule(rule="self == oldSelf", message="must not change: create a new Policy instead"),
    ]
    """The content; it never changes."""
    status: PolicyStatus = PolicyStatus()
    """Digest, lineage and stage; written by the operator."""

    plural: ClassVar[str] = "policies"
    short_names: ClassVar[tuple[str, ...]] = ("lpol",)
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn(name="Doer", json_path=".spec.doerRef.name"),
        PrinterColumn(name="Version", json_path=".spec.version"),
        PrinterColumn(name="Stage", json_path=".status.stage"),
        PrinterColumn(name="Parent", json_path=".spec.parentRef.name"),
        PrinterColumn(name="Ready", json_path='.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn(name="Age", json_path=".metadata.creationTimestamp", type="date"),
    )
    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            rule="!has(self.spec.parentRef) || self.spec.parentRef.name != self.metadata.name",
            message="must name another policy: none descends from itself",
            field_path=".spec.parentRef.name",
            holds=_has_another_parent,
        ),
    )

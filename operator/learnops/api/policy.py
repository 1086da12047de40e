"""Policy: an immutable version of what a doer runs with."""

from datetime import datetime
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

SemVer = Annotated[
    str,
    Field(max_length=64, pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$"),
]


class FewShot(Model):
    """One worked example in a prompt."""

    input: Annotated[str, Field(max_length=8192)]
    output: Annotated[str, Field(max_length=8192)]


class PromptVariant(Model):
    """A system prompt with its examples."""

    name: Name
    system: Annotated[str, Field(min_length=1, max_length=65_536)]
    few_shot: Annotated[tuple[FewShot, ...], Field(max_length=16), ATOMIC] = ()


class Prompts(Model):
    """The prompt of a policy: one variant until a bandit chooses among several."""

    variants: Annotated[
        tuple[PromptVariant, ...],
        Field(min_length=1, max_length=1),
        ListType(kind="map", keys=("name",)),
    ]


class ModelVariant(Model):
    """A model that the doer calls."""

    name: Name
    model: Annotated[str, Field(min_length=1, max_length=253)]


class Models(Model):
    """The model of a policy: one variant until a bandit chooses among several."""

    variants: Annotated[
        tuple[ModelVariant, ...],
        Field(min_length=1, max_length=1),
        ListType(kind="map", keys=("name",)),
    ]


class HParams(Model):
    """Sampling parameters, handed to the agent."""

    temperature: Decimal | None = None
    top_p: Decimal | None = None
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None


ToolName = Annotated[str, Field(min_length=1, max_length=128)]


class PolicySpec(Model):
    """The content of a policy; it never changes."""

    doer_ref: Ref
    version: SemVer
    parent_ref: Ref | None = None
    prompts: Prompts | None = None
    models: Models | None = None
    hparams: HParams | None = None
    tools_allowlist: (
        Annotated[tuple[ToolName, ...], Field(max_length=128), ListType(kind="set")] | None
    ) = None


class Stage(StrEnum):
    """How far a policy has come."""

    DRAFT = "Draft"
    CANARY = "Canary"
    ACTIVE = "Active"
    ARCHIVED = "Archived"
    REJECTED = "Rejected"


class GateName(StrEnum):
    """A gate between two stages."""

    CANARY = "Canary"


class GateOutcome(StrEnum):
    """How a gate ended."""

    PASSED = "Passed"
    FAILED = "Failed"


class GateResult(StatusModel):
    """The outcome of one gate and where its evidence stands (a CanaryDeployment and attempt)."""

    name: GateName
    outcome: GateOutcome
    time: datetime
    evidence_ref: Annotated[str, Field(max_length=253)]


class StageMove(StatusModel):
    """One stage move."""

    from_stage: Stage | None = Field(default=None, alias="from")
    to_stage: Stage = Field(alias="to")
    by: Annotated[str, Field(max_length=253)]
    at: datetime
    why: Annotated[str, Field(max_length=512)]


class PolicyStatus(StatusModel):
    """Digest, lineage and stage.

    `digest` is "v1:" + SHA-256 of the canonical JSON of the explicitly set fields of spec;
    `identity` the same without version, parentRef and doerRef.
    """

    observed_generation: Annotated[int, Field(ge=0)] = 0
    fence: Annotated[int, Field(ge=0)] = 0
    digest: Annotated[str, Field(max_length=80)] = ""
    identity: Annotated[str, Field(max_length=80)] = ""
    lineage: Annotated[tuple[Name, ...], Field(max_length=100), ATOMIC] = ()
    stage: Stage | None = None
    gates: Annotated[
        tuple[GateResult, ...], Field(max_length=8), ListType(kind="map", keys=("name",))
    ] = ()
    history: Annotated[tuple[StageMove, ...], Field(max_length=10), ATOMIC] = ()
    conditions: Conditions = ()


class Policy(Model):
    """A `Policy` object."""

    api_version: Literal["learnops.dev/v1alpha1"] = API_VERSION
    kind: Literal["Policy"] = "Policy"
    metadata: ObjectMeta
    spec: PolicySpec
    status: PolicyStatus = PolicyStatus()

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
    cel_rules: ClassVar[tuple[Rule, ...]] = ()

"""The wire format of the HTTP API (docs/reference/http-api.md). All input is bounded."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from learnops.api.common import Name
from learnops.domain.assignment import Arm
from learnops.domain.bundle_limits import (
    ERASED,
    MAX_AMOUNT,
    MAX_ARTIFACTS,
    MAX_ENTRIES,
    MAX_GATES,
    MAX_LABEL,
    storable,
)
from learnops.domain.text import has_controls
from learnops.server.crowds import FewErrors
from learnops.server.quality import Qualities

MAX_BATCH: Final = 10_000


def printable(value: str) -> str:
    """Text without control characters. Raises ValueError."""
    if has_controls(value):
        raise ValueError("must have no control characters")
    return value


def not_erased(value: str) -> str:
    """Not what stands for a tenant that was erased. Raises ValueError."""
    if value == ERASED:
        raise ValueError(f"must not be {ERASED!r}, which stands for a tenant that was erased")
    return value


class Wire(BaseModel):
    """Base of what is sent: camelCase, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


RunId = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(printable), Field(examples=["r-81f3"])
]
UnitId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(printable)]
Label = Annotated[str, Field(min_length=1, max_length=MAX_LABEL), AfterValidator(printable)]
Tenant = Annotated[
    str, Field(min_length=1, max_length=253), AfterValidator(printable), AfterValidator(not_erased)
]
Count = Annotated[float, Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False, strict=True)]
Limit = Annotated[float, Field(gt=0, le=MAX_AMOUNT, allow_inf_nan=False, strict=True)]
Revision = Annotated[int, Field(ge=0, le=2**53, strict=True)]
Free = Annotated[dict[Label, Any], Field(max_length=MAX_ENTRIES), AfterValidator(storable)]
Artifacts = Annotated[
    list[dict[str, Any]], Field(max_length=MAX_ARTIFACTS), AfterValidator(storable)
]


class GateResult(Wire):
    """A check that the run's result passed or failed."""

    name: Label
    passed: Annotated[bool, Field(strict=True)]


class RunBudget(Wire):
    """What the run itself was allowed; in force instead of the doer's."""

    max_cost_usd: Limit | None = Field(default=None, alias="maxCostUSD")
    max_duration_milliseconds: Limit | None = None


class Bundle(Wire, FewErrors):
    """What an agent reports of one run. Arm, propensity and revision are what the draw answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "namespace": "agents",
                    "doer": "planner",
                    "runId": "r-81f3",
                    "policy": "planner-v2",
                    "arm": "candidate",
                    "propensity": 0.1,
                    "revision": 7,
                    "durationMilliseconds": 812,
                    "metrics": {"contradictions": 0, "grounding": 0.93},
                    "gates": [{"name": "compiles", "passed": True}],
                    "costs": {"costUSD": 0.02},
                    "signals": {"compile": True, "tests": 0.97},
                }
            ]
        }
    )

    namespace: Name
    doer: Name
    run_id: RunId
    policy: Name
    arm: Arm = Arm.CONTROL
    propensity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)] = 0.0
    revision: Revision = 0
    rollout: Annotated[str, Field(max_length=64), AfterValidator(printable)] | None = None
    tenant: Tenant | None = None
    duration_milliseconds: Count | None = None
    metrics: Free = Field(default_factory=dict)
    gates: Annotated[list[GateResult], Field(max_length=MAX_GATES)] = Field(default_factory=list)
    qav: Free = Field(default_factory=dict)
    costs: Free = Field(default_factory=dict)
    budget: RunBudget = RunBudget()
    artifacts: Artifacts = Field(default_factory=list)
    signals: Qualities = Field(default_factory=dict)


class LargeBundle(Bundle):
    """One whose JSON is longer than `LARGE_BYTES`: what is done with all of it is done beside the
    event loop. To callers it is a bundle like any other."""


class RunToAssign(Wire):
    """One run that is about to start. `policy` only where a gateway has already chosen.

    `unit_id` is the run's session, or its tenant where the doer's unit is TenantEpoch.
    """

    run_id: RunId
    unit_id: UnitId | None = None
    policy: Name | None = None


class AssignmentsRequest(Wire, FewErrors):
    """Runs of one doer to draw and register."""

    namespace: Name
    doer: Name
    runs: Annotated[list[RunToAssign], Field(min_length=1, max_length=1000)]


class Assignment(Wire):
    """What holds for a run; `propensity` is the probability of a candidate, of any of them, at the
    draw."""

    run_id: str
    arm: Arm
    policy: str
    propensity: float
    rollout: str | None
    revision: int
    registered: bool


class AssignmentsAnswer(Wire):
    """Answers in the order of the request; `revision` is the traffic's present one."""

    revision: int
    assignments: list[Assignment]


class VoidRequest(Wire, FewErrors):
    """Registrations that came too late: the agent ran control."""

    namespace: Name
    doer: Name
    run_ids: Annotated[list[RunId], Field(min_length=1, max_length=1000)]


class PairsRequest(Wire, FewErrors):
    """Runs of control on whose input the candidate of a shadow stage is about to run."""

    namespace: Name
    doer: Name
    rollout: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)]
    run_ids: Annotated[list[RunId], Field(min_length=1, max_length=1000)]


class PairsAnswer(Wire):
    """The runs whose candidate may run now."""

    opened: list[str]


class RunAnswer(Wire):
    """A scored run."""

    run_id: str
    status: str
    loss: float
    terms: dict[str, float]
    weights: dict[str, float]
    contributions: dict[str, float]
    partial: bool
    missing: list[str]


class Refusal(Wire):
    """A bundle of a batch that was not stored, and why."""

    run_id: str | None
    status: Literal["invalid", "conflict", "forbidden"]
    problem: dict[str, Any]


class BatchAnswer(Wire):
    """One result per bundle, in the order of the request."""

    results: list[RunAnswer | Refusal]


class PolicyContent(Wire):
    """What an agent runs with; the maps are as the Policy has them."""

    digest: str | None
    version: str
    prompts: dict[str, Any]
    models: dict[str, Any]
    hparams: dict[str, Any]
    tools_allowlist: list[str]


class RouteAnswer(Assignment):
    """An assignment with the content of its policy, null while that was not seen yet."""

    content: PolicyContent | None


class RolloutAnswer(Wire):
    """The rollout that runs are drawn for; `percent` is the share of all candidates together."""

    id: str
    canary: str
    control: str
    candidate: str
    candidates: list[str]
    percent: int


class ShadowAnswer(Wire):
    """The shadow stage: its rollout, and the policy that runs beside control."""

    rollout: str
    policy: str


class ShareAnswer(Wire):
    """A policy, its share of the traffic and where its region begins, in percent (absent: 0)."""

    policy: str
    percent: int
    start: int | None = None


class UnitAnswer(Wire):
    """What arms are drawn for: Session, or TenantEpoch with the length of an epoch."""

    unit: str
    epoch_seconds: int | None = None


class SnapshotAnswer(Wire):
    """What a router needs; `ttlSeconds` null: the dead-man switch is turned off."""

    namespace: str
    doer: str
    doer_uid: str = Field(alias="doerUID")
    revision: int
    etag: str
    ttl_seconds: float | None
    router: str
    salt: str | None
    active: str
    rollout: RolloutAnswer | None
    assignment: UnitAnswer | None = None
    shadow: ShadowAnswer | None
    shares: list[ShareAnswer]
    policies: dict[str, PolicyContent]

"""What reads answer, as the OpenAPI document tells it; the routes write these bodies themselves."""

from typing import Any, Literal

from pydantic import Field

from learnops.server.models import PolicyContent, RunAnswer, Wire
from learnops.server.signal_models import RewardAnswer


class VoidAnswer(Wire):
    """The registrations that were voided; the others were resolved already, or void."""

    voided: list[str]


class StoredSignal(Wire):
    """A signal of a run; `key` is null for one that came in the run's bundle."""

    name: str
    value: float
    key: str | None
    origin: Literal["Bundle", "Later"]
    source: str
    note: str
    observed_at: str | None
    received_at: str


class StoredReward(RewardAnswer):
    """The reward with the weights that made it."""

    weights: dict[str, float]


class RunReport(RunAnswer):
    """A stored run: as it was drawn, its loss, its signals and its reward."""

    namespace: str
    doer: str
    policy: str
    arm: Literal["control", "candidate"]
    propensity: float
    revision: int
    rollout: str | None
    tenant: str | None
    crl: float = Field(description="The weighted sum L; `loss` is L divided by the weights' sum.")
    signals: list[StoredSignal]
    reward: StoredReward | None


class PolicyReport(PolicyContent):
    """A policy's content, where it stands and where it comes from."""

    namespace: str
    name: str
    doer: str
    parent: str | None
    lineage: list[str]
    stage: str | None


class CandidateReport(Wire):
    """A candidate's figures beside control's; null: not known yet."""

    name: str
    attempt: int
    runs: int | None
    control_runs: int | None
    loss: float | None
    control_loss: float | None
    delta: float | None
    runs_still_needed: int | None
    win_rate_percent: float | None
    cost_delta: float | None
    difference: dict[str, float] | None = Field(description="`estimate`, `low` and `high`.")
    evidence: dict[str, Any] | None = Field(description="E-values beside their thresholds.")
    queries: list[dict[str, Any]]
    verdict: str


class CanaryReport(Wire):
    """What is known of a canary, and what it waits for; null: not known, or not at this stage."""

    namespace: str
    name: str
    doer: str
    stage: str | None
    step: int | None
    generation: int | None
    shares: list[dict[str, Any]]
    recommendation: str | None
    waiting_for: str | None
    shadow: dict[str, Any] | None
    estimated_decision_time: str | None
    low_traffic: dict[str, str] | None
    sample_ratio: dict[str, Any] | None
    candidates: list[CandidateReport]
    history: list[dict[str, Any]]


class Alive(Wire):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Wire):
    """Each part with `ok` or the reason why it is not ready."""

    status: Literal["ok", "not ready"]
    components: dict[str, str]
    ttl_seconds: float | None = Field(
        description="What is left of the dead-man switch; null: it is turned off."
    )


class HealthReport(Wire):
    """Each part as it was last seen; `status` is the worst of them."""

    status: Literal["ok", "degraded", "down"]
    version: str
    uptime_seconds: float
    components: dict[str, dict[str, Any]]

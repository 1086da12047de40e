"""What the demo's screen shows, read from the API server as `kubectl get` would."""

import dataclasses
import datetime
from typing import Any

from testbed.kubeapi import KubeApi

NAMESPACE = "agents"
GROUP = f"/apis/learnops.dev/v1alpha1/namespaces/{NAMESPACE}"
ENDS = frozenset({"Promoted", "RolledBack", "Inconclusive", "Aborted", "Superseded", "Error"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollout:
    """One CanaryDeployment."""

    name: str
    doer: str
    candidate: str
    stage: str
    futile: bool
    culprit: str  # a guardrail; empty where there is none or it is the loss
    source: str
    percent: int
    runs: int
    control_runs: int
    loss: str
    control_loss: str
    promote: tuple[str, str]  # e-value and threshold
    rollback: tuple[str, str]
    waiting_for: str
    seconds: float | None

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self.stage in ENDS

    @property
    def verdict(self) -> str:
        """How it stands, and for which guardrail it was rolled back."""
        if self.futile:
            return "Futile"
        return f"{self.stage}: {self.culprit}" if self.culprit else self.stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Happening:
    """One Event, as a line."""

    uid: str
    count: int
    time: str
    about: str
    reason: str
    note: str
    warning: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Everything at one instant."""

    active: dict[str, str]  # by doer
    shares: dict[str, dict[str, int]]
    rollouts: tuple[Rollout, ...]
    happenings: tuple[Happening, ...]


def read(api: KubeApi) -> State:
    """Read doers, canaries and events; raises ApiError."""
    doers = api.get(f"{GROUP}/doers")["items"]
    canaries = api.get(f"{GROUP}/canarydeployments")["items"]
    events = api.get(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")["items"]
    status = {doer["metadata"]["name"]: doer.get("status", {}) for doer in doers}
    return State(
        active={name: one.get("activePolicy", "") for name, one in status.items()},
        shares={
            name: {s["policy"]: s["percent"] for s in one.get("traffic", {}).get("shares", [])}
            for name, one in status.items()
        },
        rollouts=tuple(sorted(map(_rollout, canaries), key=lambda one: (one.doer, one.candidate))),
        happenings=tuple(sorted(map(_happening, events), key=lambda one: one.time)),
    )


def _rollout(canary: dict[str, Any]) -> Rollout:
    spec, status = canary["spec"], canary.get("status", {})
    candidate: dict[str, Any] = next(iter(status.get("candidates", [])), {})
    evidence = candidate.get("evidence", {})
    return Rollout(
        name=canary["metadata"]["name"],
        doer=spec["doerRef"]["name"],
        candidate=spec["candidateRefs"][0]["name"],
        stage=status.get("stage", "Pending"),
        futile=candidate.get("verdict") == "Futile",
        culprit="" if (named := evidence.get("culprit", "loss")) == "loss" else named,
        source=spec["analysis"]["source"],
        percent=_percent(status, spec["candidateRefs"][0]["name"]),
        runs=candidate.get("runs", 0),
        control_runs=candidate.get("controlRuns", 0),
        loss=candidate.get("loss", "–"),
        control_loss=candidate.get("controlLoss", "–"),
        promote=(evidence.get("promote", "–"), evidence.get("promoteThreshold", "–")),
        rollback=(evidence.get("rollback", "–"), evidence.get("rollbackThreshold", "–")),
        waiting_for=status.get("waitingFor", ""),
        seconds=_seconds(status),
    )


def _percent(status: dict[str, Any], candidate: str) -> int:
    shares = {one["policy"]: one["percent"] for one in status.get("shares", [])}
    return int(shares.get(candidate, 0))


def _seconds(status: dict[str, Any]) -> float | None:
    start, end = status.get("startTime"), status.get("endTime")
    if not (start and end):
        return None
    return (_instant(end) - _instant(start)).total_seconds()


def _instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _happening(event: dict[str, Any]) -> Happening:
    about = event.get("regarding", {})
    series = event.get("series") or {}
    return Happening(
        uid=event["metadata"]["uid"],
        count=series.get("count", 1),
        time=series.get("lastObservedTime") or event.get("eventTime") or "",
        about=f"{about.get('kind', '')}/{about.get('name', '')}",
        reason=event.get("reason", ""),
        note=event.get("note", ""),
        warning=event.get("type") == "Warning",
    )

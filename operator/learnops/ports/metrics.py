"""Prometheus, or anything that speaks its API."""

from dataclasses import dataclass
from typing import Protocol

from learnops.domain.outcome import ErrorReason


class MetricsUnavailableError(Exception):
    """No trustworthy answer; `reason` says which kind of none."""

    def __init__(self, reason: ErrorReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class CounterSample:
    """One raw series of the evidence counters: the three figures of one process, arm and epoch.

    `process` names one life of one process of the api: a restart is another one, and what two
    targets expose of the same process is recognised as one.
    `problem` says why the figures cannot be used; they are NaN then. It concerns this doer alone.
    """

    process: str
    namespace: str
    doer: str
    policy: str
    arm: str  # control | candidate
    epoch: int  # Doer.status.traffic.revision under which the arm was drawn
    runs: float
    loss_sum: float
    loss_sumsq: float
    age_seconds: float  # since the sample was scraped
    problem: ErrorReason | None = None


class Metrics(Protocol):
    """Evidence counters of all canaries in one query."""

    async def evidence_counters(self) -> list[CounterSample]:
        """Every `learnops_evidence_*` series, raw; raises MetricsUnavailableError."""

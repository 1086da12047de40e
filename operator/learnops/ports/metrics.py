"""Prometheus, or anything that speaks its API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from learnops.domain.unavailable import ErrorReason


class MetricsUnavailableError(Exception):
    """No trustworthy answer; `reason` says which kind of none."""

    def __init__(self, reason: ErrorReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class CounterSample:
    """One raw series of the evidence counters: the three figures of one process, arm and revision.

    `process` names one life of one process of the api: a restart is another one, and what two
    targets expose of the same process is recognised as one.
    `problem` says why the figures cannot be used; they are NaN then. It concerns this doer alone.
    """

    process: str
    namespace: str
    doer: str
    policy: str
    arm: str  # control | candidate
    revision: int  # Doer.status.traffic.revision under which the arm was drawn
    runs: float
    loss_sum: float
    loss_sumsq: float
    age_seconds: float  # since the sample was scraped
    problem: ErrorReason | None = None
    timeouts: float | None = None  # of the runs, those resolved by time; None: not told
    # Every run of the doer registered more than maturation + this long ago is in the counters. The
    # worst of all processes, its sample's age included; None: a process does not tell.
    prefix_lag_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class QuerySample:
    """One series of the answer to somebody's query; `value` may be NaN or infinite."""

    labels: Mapping[str, str]
    value: float
    at: datetime  # when it was evaluated, by Prometheus' clock


class Metrics(Protocol):
    """Evidence counters of all canaries in one query, and queries of guardrails."""

    async def query(self, promql: str, *, lookback_seconds: int) -> list[QuerySample]:
        """The answer to an instant query: none, one or several series.

        Single samples count up to `lookback_seconds` after their scrape; the windows that the query
        itself names are its own affair. Raises MetricsUnavailableError.
        """

    async def evidence_counters(self) -> list[CounterSample]:
        """Every `learnops_evidence_*` series, raw; raises MetricsUnavailableError."""

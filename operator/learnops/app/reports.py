"""What is told of a canary: the api answers it, and `learnops canary report` prints it."""

from typing import Any

from learnops.api.canary import CanaryDeployment, CanaryStatus, CandidateStatus
from learnops.api.canary_figures import DifferenceStatus
from learnops.api.guardrails import QueryStatus


def canary_report(found: CanaryDeployment) -> dict[str, Any]:
    """What its status tells; unknown figures are null."""
    status = found.status
    return {
        "namespace": found.metadata.namespace,
        "name": found.metadata.name,
        "doer": found.spec.doer_ref.name,
        "stage": None if status.stage is None else status.stage.value,
        "step": status.step,
        "generation": status.generation,
        "shares": [share.to_wire() for share in status.shares],
        "recommendation": (
            None if status.recommendation is None else status.recommendation.value.lower()
        ),
        "waitingFor": status.waiting_for,
        "shadow": None if status.shadow is None else status.shadow.to_wire(),
        "estimatedDecisionTime": status.to_wire().get("estimatedDecisionTime"),
        "lowTraffic": _low_traffic(status),
        "sampleRatio": None if status.sample_ratio is None else status.sample_ratio.to_wire(),
        "candidates": [_candidate(each) for each in status.candidates],
        "history": [entry.to_wire() for entry in status.history],
    }


def _low_traffic(status: CanaryStatus) -> dict[str, str] | None:
    """Whether the decision lies beyond the deadline, and which steps to use then."""
    found = next((it for it in status.conditions if it.type == "LowTraffic"), None)
    if found is None:
        return None
    return {"status": found.status.value, "reason": found.reason, "message": found.message}


def _candidate(candidate: CandidateStatus) -> dict[str, Any]:
    known = candidate.loss is not None and candidate.control_loss is not None
    delta = float(candidate.loss or 0) - float(candidate.control_loss or 0) if known else None
    return {
        "name": candidate.name,
        "attempt": candidate.attempt,
        "runs": candidate.runs,
        "controlRuns": candidate.control_runs,
        "loss": _number(candidate.loss),
        "controlLoss": _number(candidate.control_loss),
        "delta": delta,
        "runsStillNeeded": candidate.runs_still_needed,
        "winRatePercent": _number(candidate.win_rate_percent),
        "costDelta": _number(candidate.cost_delta),
        "difference": _difference(candidate.difference),
        "evidence": None if candidate.evidence is None else candidate.evidence.to_wire(),
        "queries": [_query(each) for each in candidate.queries],
        "verdict": candidate.verdict.value,
    }


def _query(found: QueryStatus) -> dict[str, Any]:
    """A guardrail on a query: where there is no answer, the value is null and the reason is not."""
    return {
        "name": found.name,
        "value": _number(found.value),
        "max": float(found.max),
        "breaches": found.breaches,
        "reason": found.reason,
    }


def _difference(found: DifferenceStatus | None) -> dict[str, float] | None:
    """The confidence sequence: the estimate is never told without its bounds."""
    if found is None:
        return None
    return {name: float(getattr(found, name)) for name in ("estimate", "low", "high")}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)

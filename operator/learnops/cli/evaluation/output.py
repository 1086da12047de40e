"""Judgements, for people and for programs."""

import json
import math
from typing import Any

from learnops.domain.evidence.types import Decision
from learnops.domain.evidence.verdict import Judgement

_HEADINGS = ("CANARY", "VERDICT", "REASON", "RUNS", "CANDIDATE", "DIFFERENCE (95 %)", "EVIDENCE")


def line(canary: str, judgement: Judgement) -> str:
    """One line of JSON."""
    return json.dumps(_told(canary, judgement), allow_nan=False)


def table(judgements: dict[str, Judgement]) -> str:
    """A table with a line per canary."""
    rows = [_HEADINGS, *(_row(canary, it) for canary, it in judgements.items())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADINGS))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _told(canary: str, judgement: Judgement) -> dict[str, Any]:
    evidence, ratio = judgement.evidence, judgement.ratio
    difference = evidence.difference
    tests = {"promote": evidence.promote, "rollback": evidence.rollback}
    if evidence.futility is not None:
        tests["futility"] = evidence.futility
    return {
        "canary": canary,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "culprit": judgement.culprit,
        "runs": judgement.runs,
        "candidateRuns": judgement.candidate_runs,
        "evidence": {name: _decision(test) for name, test in tests.items()}
        | {
            "guardrails": [
                {
                    "term": it.term,
                    "rollback": _decision(it.rollback),
                    "promote": _decision(it.promote),
                }
                for it in evidence.guardrails
            ],
            "sampleRatio": {
                "assigned": _e_value(ratio.assigned_log_e),
                "completed": _e_value(ratio.completed_log_e),
                "alarm": ratio.alarm,
            },
        },
        "difference": None
        if difference is None
        else {"estimate": difference.estimate, "low": difference.low, "high": difference.high},
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "e": _e_value(decision.log_e),
        "logE": decision.log_e,
        "threshold": math.exp(decision.log_threshold),
        "crossedAt": decision.crossed_at,
    }


def _e_value(log_e: float) -> float:
    """1e300 stands for anything larger: JSON has no infinity."""
    return math.exp(min(log_e, math.log(1e300)))


def _row(canary: str, judgement: Judgement) -> tuple[str, ...]:
    evidence = judgement.evidence
    reason = judgement.reason + (f" ({judgement.culprit})" if judgement.culprit else "")
    difference = evidence.difference
    interval = "-"
    if difference is not None:
        interval = f"{difference.estimate:+.3f} in [{difference.low:+.2f}, {difference.high:+.2f}]"
    told = {"promote": evidence.promote, "roll back": evidence.rollback}
    if evidence.futility is not None:
        told["futile"] = evidence.futility
    return (
        canary or "-",
        judgement.verdict.value,
        reason,
        f"{judgement.runs:,}",
        f"{judgement.candidate_runs:,}",
        interval,
        ", ".join(f"{name} {_share(test)}" for name, test in told.items()),
    )


def _share(decision: Decision) -> str:
    return f"e {_e_value(decision.log_e):.3g} of {math.exp(decision.log_threshold):.3g}"

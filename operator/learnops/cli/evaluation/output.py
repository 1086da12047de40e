"""Judgements, for people and for programs."""

import json
import math
from collections.abc import Sequence
from typing import Any

from learnops.cli.evaluation.judging import Judged
from learnops.domain.evidence.sample_ratio import SampleRatio
from learnops.domain.evidence.standing import Evidence, Standing

_HEADINGS = (
    "CANARY",
    "CANDIDATE",
    "VERDICT",
    "REASON",
    "RUNS",
    "OF CANDIDATE",
    "DIFFERENCE (95 %)",
    "EVIDENCE",
)


def line(judged: Judged) -> str:
    """One line of JSON."""
    return json.dumps(_told(judged), allow_nan=False)


def table(judged: Sequence[Judged]) -> str:
    """A table with a line per canary and candidate."""
    rows = [_HEADINGS, *(_row(it) for it in judged)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADINGS))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _told(judged: Judged) -> dict[str, Any]:
    judgement = judged.judgement
    evidence = judgement.evidence
    difference = evidence.difference
    return {
        "canary": judged.canary,
        "candidate": judged.candidate,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "culprit": judgement.culprit,
        "runs": judgement.runs,
        "candidateRuns": judgement.candidate_runs,
        "evidence": _evidence(evidence, judgement.ratio),
        "difference": None
        if difference is None
        else {"estimate": difference.estimate, "low": difference.low, "high": difference.high},
    }


def _evidence(evidence: Evidence, ratio: SampleRatio) -> dict[str, Any]:
    tests = {"promote": evidence.promote, "rollback": evidence.rollback}
    if evidence.futility is not None:
        tests["futility"] = evidence.futility
    told: dict[str, Any] = {name: _standing(test) for name, test in tests.items()}
    told["guardrails"] = [
        {"term": it.term, "rollback": _standing(it.rollback), "promote": _standing(it.promote)}
        for it in evidence.guardrails
    ]
    told["sampleRatio"] = {
        "assigned": _e_value(ratio.assigned_log_e),
        "completed": _e_value(ratio.completed_log_e),
        "alarm": ratio.alarm,
    }
    if evidence.p_values is not None:
        told["pValues"] = {
            "promote": evidence.p_values.promote,
            "rollback": evidence.p_values.rollback,
        }
    return told


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "e": _e_value(standing.log_e),
        "logE": standing.log_e,
        "threshold": math.exp(standing.log_threshold),
        "crossedAt": standing.crossed_at,
    }


def _e_value(log_e: float) -> float:
    """1e300 stands for anything larger: JSON has no infinity."""
    return math.exp(min(log_e, math.log(1e300)))


def _row(judged: Judged) -> tuple[str, ...]:
    judgement = judged.judgement
    difference = judgement.evidence.difference
    interval = "-"
    if difference is not None:
        interval = f"{difference.estimate:+.3f} in [{difference.low:+.2f}, {difference.high:+.2f}]"
    return (
        judged.canary or "-",
        judged.candidate,
        judgement.verdict.value,
        judgement.reason + (f" ({judgement.culprit})" if judgement.culprit else ""),
        f"{judgement.runs:,}",
        f"{judgement.candidate_runs:,}",
        interval,
        _tests(judgement.evidence),
    )


def _tests(evidence: Evidence) -> str:
    if (found := evidence.p_values) is not None:
        promote = _p_share(found.promote, evidence.promote)
        return f"promote {promote}, roll back {_p_share(found.rollback, evidence.rollback)}"
    tests = {"promote": evidence.promote, "roll back": evidence.rollback}
    if evidence.futility is not None:
        tests["futile"] = evidence.futility
    return ", ".join(f"{name} {_share(test)}" for name, test in tests.items())


def _share(standing: Standing) -> str:
    return f"e {_e_value(standing.log_e):.3g} of {math.exp(standing.log_threshold):.3g}"


def _p_share(p_value: float, standing: Standing) -> str:
    return f"p {p_value:.3g} of {math.exp(-standing.log_threshold):.3g}"

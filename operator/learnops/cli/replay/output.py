"""A replay for people and for programs."""

import json
from collections.abc import Sequence
from typing import Any

from learnops.cli.replay.rejudge import Rejudged
from learnops.cli.replay.report import Report, silence
from learnops.domain.crl.whatif import Tally
from learnops.domain.evidence.verdict import Judgement

_RUNS = ("POLICY", "ARM", "RUNS", "LOSS", "WOULD BE", "DIFFERENCE", "PARTIAL", "MOST OF IT")
_CANARIES = ("CANARY", "CANDIDATE", "RECORDED", "VERDICT", "WOULD BE", "CHANGED")
_TOLD = 3


def as_json(report: Report) -> str:
    """One document."""
    told = {
        "runs": report.runs,
        "groups": [
            {"policy": policy, "arm": arm, **_group(tally)}
            for (policy, arm), tally in zip(report.groups, report.tallies, strict=True)
            if tally.runs
        ],
        "notReported": report.silent,
        "canaries": [_canary(it) for it in report.canaries],
        "notes": [*silence(report), *report.notes],
    }
    return json.dumps(told, allow_nan=False)


def as_table(report: Report) -> str:
    """Two tables and the notes."""
    rows = [
        _row(policy, arm, tally)
        for (policy, arm), tally in zip(report.groups, report.tallies, strict=True)
        if tally.runs
    ]
    parts = [_table((_RUNS, *rows))]
    if report.canaries:
        parts.append(_table((_CANARIES, *(_canary_row(it) for it in report.canaries))))
    parts += [f"note: {it}" for it in (*silence(report), *report.notes)]
    return "\n\n".join(parts)


def _group(tally: Tally) -> dict[str, Any]:
    before, after = _before(tally), tally.loss_after / tally.runs
    return {
        "runs": tally.runs,
        "loss": before,
        "lossWouldBe": after,
        "difference": None if before is None else after - before,
        "partial": tally.partial_before,
        "partialWouldBe": tally.partial_after,
        "terms": [
            {"term": name, "part": old if tally.explained else None, "partWouldBe": new}
            for name, old, new in tally.drivers()
        ],
    }


def _before(tally: Tally) -> float | None:
    return tally.loss_before / tally.scored if tally.scored else None


def _count(known: int | None) -> str:
    return "-" if known is None else f"{known:,}"


def _row(policy: str, arm: str, tally: Tally) -> tuple[str, ...]:
    before, after = _before(tally), tally.loss_after / tally.runs
    return (
        policy,
        arm,
        f"{tally.runs:,}",
        "-" if before is None else f"{before:.4f}",
        f"{after:.4f}",
        "-" if before is None else f"{after - before:+.4f}",
        f"{_count(tally.partial_before)} -> {tally.partial_after:,}",
        _most(tally),
    )


def _most(tally: Tally) -> str:
    """The terms that moved the loss most; where it is not known from where, those that make it."""
    parts = tally.drivers()
    if tally.explained:
        told = [f"{name} {new - old:+.3f}" for name, old, new in parts[:_TOLD] if new != old]
    else:
        told = [f"{name} {new:.3f}" for name, _, new in parts[:_TOLD] if new > 0.0]
    return ", ".join(told) or "-"


def _canary(one: Rejudged) -> dict[str, Any]:
    return {
        "canary": one.canary,
        "candidate": one.candidate,
        "recorded": one.recorded or None,
        "analysis": "own" if one.own else "default",
        "firstRun": one.first,
        "verdict": _verdict(one.before),
        "verdictWouldBe": _verdict(one.after),
        "changed": one.changed,
        "notJudged": one.why_not or None,
    }


def _verdict(found: Judgement | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "verdict": found.verdict.value,
        "reason": found.reason,
        "culprit": found.culprit,
        "run": found.runs,
        "candidateRuns": found.candidate_runs,
    }


def _canary_row(one: Rejudged) -> tuple[str, ...]:
    if one.why_not:
        return (one.canary or "-", one.candidate, one.recorded or "-", "-", "-", one.why_not)
    changed = "yes" if one.changed else "no"
    return (
        one.canary or "-",
        one.candidate,
        one.recorded or "-",
        _at(one.before),
        _at(one.after),
        changed,
    )


def _at(found: Judgement | None) -> str:
    if found is None:
        return "-"
    culprit = f" ({found.culprit})" if found.culprit else ""
    return f"{found.verdict.value}{culprit} at run {found.runs:,}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )

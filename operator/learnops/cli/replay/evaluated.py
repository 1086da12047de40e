"""A replay of a log as `learnops evaluate` takes it: losses and normalised terms, in order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from learnops.api.canary import CanaryDeployment
from learnops.api.guardrails import on_terms
from learnops.cli.evaluation.arms import arms_of
from learnops.cli.evaluation.errors import bad_line
from learnops.cli.evaluation.logs import Log, logs_of
from learnops.cli.evaluation.names import TERM
from learnops.cli.evaluation.rows import Rows, rows_of
from learnops.cli.inputs import InputError
from learnops.cli.replay.rejudge import Analyses, Rejudged, judged, refusal
from learnops.cli.replay.report import Progress, Report
from learnops.cli.replay.target import Target
from learnops.domain.arms import candidates_of
from learnops.domain.crl.columns import Floats
from learnops.domain.crl.whatif import UNKNOWN, Runs, Tally, count, rescored

_BUDGETS = (
    "this log has terms and not what they were made of: budgets and caps are those of its time"
)
_TENANTS = "this log names no tenants: each run is scored by the weights of every tenant"
_ALONE = "verdicts need --canaries with the CanaryDeployment: its analysis, and its candidates"


@dataclass(kw_only=True)
class _Replay:
    target: Target
    groups: dict[tuple[str, str], int] = field(default_factory=dict)
    tallies: list[Tally] = field(default_factory=list)
    done: int = 0

    def score(self, rows: Rows) -> Rows:
        """Count the rows; the same rows with the other losses."""
        runs = self._runs(rows)
        after = rescored(runs, self.target.yardsticks)
        count(runs, after, into=self.tallies)
        self.done += len(runs)
        return replace(rows, columns={**rows.columns, "loss": after.loss.tolist()})

    def _runs(self, rows: Rows) -> Runs:
        size = len(rows.lines)
        nobody = np.full(size, UNKNOWN)
        values = {name: _term(rows, name) for name in self.target.terms}
        return Runs(
            group=np.array([self._group(it) for it in _names(rows)]),
            tenant=nobody,
            tenants=(),
            loss=_unit(rows, "loss", missing=False),
            partial=None,  # a log does not tell which terms were in use
            scored={},
            weights=nobody,
            known=(),
            values=values,
        )

    def _group(self, name: str) -> int:
        place = self.groups.setdefault(("-", name), len(self.groups))
        if place == len(self.tallies):
            self.tallies.append(Tally())
        return place


def replay(
    lines: Iterable[str],
    target: Target,
    *,
    canaries: Path | None,
    control: str | None,
    tell: Progress,
) -> Report:
    """Score the runs, and judge each canary by both losses where its analysis is given.

    Raises:
        InputError: a line that is no run, by its number and field.
    """
    canary = None if canaries is None else _only(Analyses.of(canaries))
    found = _Replay(target=target)
    old: list[Rows] = []
    new: list[Rows] = []
    terms = [TERM + name for name in target.terms]
    for rows in rows_of(lines, needed=_needed(canary, control), optional=terms):
        other = found.score(rows)
        tell(f"{found.done:,} runs scored")
        if canary is not None:
            old.append(rows)
            new.append(other)
    verdicts = [] if canary is None else list(_judged(canary, control, old=old, new=new))
    return Report(
        groups=list(found.groups),
        tallies=found.tallies,
        canaries=verdicts,
        notes=_notes(target, canary),
    )


def _needed(canary: CanaryDeployment | None, control: str | None) -> list[str]:
    if canary is None:
        return ["arm", "loss"]
    return ["arm", *arms_of(candidates_of(canary), control=control).shares, "loss"]


def _only(analyses: Analyses) -> CanaryDeployment:
    canary = analyses.only
    if canary is None:
        raise InputError("--canaries: must hold one CanaryDeployment, by which this log is judged")
    if why := refusal(canary):
        raise InputError(f"--canaries: {canary.metadata.name}: {why}")
    return canary


def _notes(target: Target, canary: CanaryDeployment | None) -> list[str]:
    told = ((_BUDGETS, target.whole), (_TENANTS, bool(target.tenants)), (_ALONE, canary is None))
    return [text for text, holds in told if holds]


def _judged(
    canary: CanaryDeployment, control: str | None, *, old: Sequence[Rows], new: Sequence[Rows]
) -> Iterator[Rejudged]:
    arms = arms_of(candidates_of(canary), control=control)
    terms = [it.term for it in on_terms(canary.spec.analysis.guardrails)]
    before = logs_of(_filled(old, terms), arms=arms, terms=terms)
    after = logs_of(_filled(new, terms), arms=arms, terms=terms)
    for one, other in zip(before, after, strict=True):
        yield _once_more(canary, one, other)


def _once_more(canary: CanaryDeployment, before: Log, after: Log) -> Rejudged:
    name = before.canary or canary.metadata.name
    found = judged(canary, attempt=1, before=before, after=after)
    return Rejudged(canary=name, candidate=before.candidate, own=True, **found)


def _filled(pieces: Sequence[Rows], terms: Sequence[str]) -> Iterator[Rows]:
    """A guardrail's term that a run did not report counts 1, as the operator has it."""
    for rows in pieces:
        told = {TERM + it: np.nan_to_num(_term(rows, it), nan=1.0).tolist() for it in terms}
        yield replace(rows, columns={**rows.columns, **told})


def _names(rows: Rows) -> list[str]:
    for place, name in enumerate(rows.columns["arm"]):
        if not isinstance(name, str) or not 0 < len(name) <= 253:
            raise bad_line(rows.lines[place], "arm", "must be a name of 1 to 253 characters")
    return list(rows.columns["arm"])


def _term(rows: Rows, name: str) -> Floats:
    return _unit(rows, TERM + name, missing=True)


def _unit(rows: Rows, name: str, *, missing: bool) -> Floats:
    """A column of numbers in [0, 1]; NaN where one is missing and may be."""
    column = rows.columns.get(name)
    if column is None:  # a column that the CSV does not have
        return np.full(len(rows.lines), np.nan)
    found = np.array([_number(it, text=rows.text) for it in column], dtype=np.float64)
    wrong = ~((found >= 0.0) & (found <= 1.0))
    if missing:
        wrong &= np.array([it is not None and it != "" for it in column])
    if wrong.any():
        place = int(wrong.argmax())
        raise bad_line(rows.lines[place], name, f"{column[place]!r:.40} is not in [0, 1]")
    return found


def _number(value: object, *, text: bool) -> float:
    if not text:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return float(str(value)) if plain else float("nan")
    try:
        return float(str(value))
    except ValueError:
        return float("nan")

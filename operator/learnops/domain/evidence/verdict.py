"""From a whole log to the verdict on it, by the operator's order of rules.

The operator asks at every tick what holds by now; here it is asked of a log that has ended. Both
come to the same: a crossing counts from the block where it happened, and the first verdict stands.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import anytime, fixed_horizon, sample_ratio
from learnops.domain.evidence.blocks import BLOCK_RUNS
from learnops.domain.evidence.sample_ratio import SampleRatio, SampleRatioState
from learnops.domain.evidence.types import LOSS, Evidence, Observations, TestPlan


class Verdict(StrEnum):
    """What the log says of the candidate."""

    PROMOTE = "Promote"
    ROLLBACK = "Rollback"
    FUTILE = "Futile"
    CONTINUE = "Continue"
    HOLD = "Hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What else of `spec.analysis` bears on the verdict.

    `breaches`: per guardrail, how many candidate runs may have its term above the tolerance; None:
    any number.
    """

    min_candidate_runs: int
    max_runs: int
    breaches: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        reason: in one CamelCase word.
        runs: number of the run, in registration order, at whose block end the verdict fell; all
            judged runs where none did.
        candidate_runs: candidate runs among these.
        culprit: "loss" or the guardrail that a roll-back is for.
        evidence: at that run.
        ratio: the sample ratio at that run.
    """

    verdict: Verdict
    reason: str
    runs: int
    candidate_runs: int
    culprit: str | None
    evidence: Evidence
    ratio: SampleRatio


def judge(plan: TestPlan, limits: Limits, log: Observations) -> Judgement:
    """The verdict on a log of runs that all reported, numbered from 1.

    Raises:
        EvidenceError: a run that cannot be evidence.
    """
    if plan.horizon is not None:
        return _judged_once(plan, limits, log)
    state = anytime.advance(anytime.start(plan), log)
    whole, ends = state.evidence(), _Ends.of(log)
    breached_at, broken = _breached(plan, limits, log)
    found = [
        (breached_at, Verdict.ROLLBACK, "GuardrailBreached"),
        (whole.rollback.crossed_at, Verdict.ROLLBACK, "Worse"),
        (whole.futility and whole.futility.crossed_at, Verdict.FUTILE, "Futile"),
        (_promoted_at(whole, limits, log, ends), Verdict.PROMOTE, "Better"),
        (ends.first(ends.runs >= limits.max_runs), Verdict.HOLD, "MaxRunsReached"),
    ]
    # The first block decides; within one the order of the rules does.
    reached = [(at, verdict, reason) for at, verdict, reason in found if at]
    if not reached:
        return _undecided(whole, log)
    at, verdict, reason = min(reached, key=lambda it: it[0])
    head = _head(log, at)
    evidence = anytime.advance(anytime.start(plan), head).evidence()
    return Judgement(
        verdict=verdict,
        reason=reason,
        runs=at,
        candidate_runs=int(head.is_candidate.sum()),
        culprit=broken if at == breached_at else evidence.culprit,
        evidence=evidence,
        ratio=_ratio(head),
    )


def _judged_once(plan: TestPlan, limits: Limits, log: Observations) -> Judgement:
    """Of the one look at the planned number of runs; before it nothing may be concluded."""
    state = fixed_horizon.advance(fixed_horizon.start(plan), log)
    evidence, head = state.evidence(), _head(log, state.looked_at or len(log))
    ratio = _ratio(head)
    verdict, reason = _at_the_look(evidence, limits, alarm=ratio.alarm)
    return Judgement(
        verdict=verdict,
        reason=reason,
        runs=len(head),
        candidate_runs=evidence.candidate_runs,
        culprit=LOSS if verdict is Verdict.ROLLBACK else None,
        evidence=evidence,
        ratio=ratio,
    )


def _at_the_look(evidence: Evidence, limits: Limits, *, alarm: bool) -> tuple[Verdict, str]:
    if evidence.p_values is None:
        return Verdict.CONTINUE, "Undecided"
    if evidence.rollback.crossed:
        return Verdict.ROLLBACK, "Worse"
    if evidence.promote.crossed and alarm:
        return Verdict.HOLD, "SampleRatioMismatch"
    if evidence.promote.crossed and evidence.candidate_runs >= limits.min_candidate_runs:
        return Verdict.PROMOTE, "Better"
    return Verdict.HOLD, "MaxRunsReached"


def _undecided(whole: Evidence, log: Observations) -> Judgement:
    ratio = _ratio(_head(log, whole.watermark))
    held = whole.promote.crossed and ratio.alarm
    return Judgement(
        verdict=Verdict.HOLD if held else Verdict.CONTINUE,
        reason="SampleRatioMismatch" if held else "Undecided",
        runs=whole.watermark,
        candidate_runs=whole.candidate_runs,
        culprit=None,
        evidence=whole,
        ratio=ratio,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ends:
    """How many runs of both arms, and of the candidate, each block end has behind it."""

    runs: NDArray[np.int64]
    candidates: NDArray[np.int64]

    @classmethod
    def of(cls, log: Observations) -> "_Ends":
        last = slice(BLOCK_RUNS - 1, None, BLOCK_RUNS)
        either = np.ones(len(log), dtype=np.bool_)
        for left_out in (log.is_other, log.void):
            if left_out is not None:
                either &= ~left_out
        return cls(
            runs=np.cumsum(either, dtype=np.int64)[last],
            candidates=np.cumsum(log.is_candidate & either, dtype=np.int64)[last],
        )

    def first(self, holds: NDArray[np.bool_], *, start: int = BLOCK_RUNS) -> int | None:
        """The first block end from ``start`` on where it holds."""
        blocks = np.flatnonzero(holds[start // BLOCK_RUNS - 1 :])
        return int(blocks[0]) * BLOCK_RUNS + start if len(blocks) else None


def _promoted_at(whole: Evidence, limits: Limits, log: Observations, ends: _Ends) -> int | None:
    """The block end at which all hold together: tests, enough candidate runs, a sound split."""
    crossed = [whole.promote.crossed_at, *(it.promote.crossed_at for it in whole.guardrails)]
    positions = [at for at in crossed if at is not None]
    if len(positions) < len(crossed):
        return None
    enough = ends.candidates >= limits.min_candidate_runs
    at = ends.first(enough, start=max(positions))
    return None if at is None else _sound_from(log, at)


def _breached(plan: TestPlan, limits: Limits, log: Observations) -> tuple[int | None, str | None]:
    """The run with which a guardrail had one breach too many, and which guardrail it was."""
    first: tuple[int | None, str | None] = (None, None)
    for place, (guardrail, borne) in enumerate(zip(plan.guardrails, limits.breaches, strict=False)):
        if borne is None or log.terms is None:
            continue
        breaches = np.flatnonzero(log.is_candidate & (log.terms[:, place] > guardrail.tolerance))
        if len(breaches) > borne and (first[0] is None or breaches[borne] + 1 < first[0]):
            first = int(breaches[borne]) + 1, guardrail.term
    return first


def _sound_from(log: Observations, at: int) -> int | None:
    """The first block end from ``at`` on where the sample ratio does not alarm."""
    state = _count(SampleRatioState(), _head(log, at))
    while state.result().alarm:
        block = _cut(log, slice(at, at + BLOCK_RUNS))
        if len(block) < BLOCK_RUNS:
            return None
        state, at = _count(state, block), at + BLOCK_RUNS
    return at


def _ratio(log: Observations) -> SampleRatio:
    return _count(SampleRatioState(), log).result()


def _count(state: SampleRatioState, log: Observations) -> SampleRatioState:
    return sample_ratio.advance(state, log, completed=np.ones(len(log), dtype=np.bool_))


def _head(log: Observations, runs: int) -> Observations:
    return _cut(log, slice(0, runs))


def _cut(log: Observations, rows: slice) -> Observations:
    optional = ("void", "terms", "is_other", "control_propensity")
    columns = {name: getattr(log, name) for name in optional}
    return replace(
        log,
        seq=log.seq[rows],
        is_candidate=log.is_candidate[rows],
        propensity=log.propensity[rows],
        loss=log.loss[rows],
        **{name: None if it is None else it[rows] for name, it in columns.items()},
    )

"""From a whole log to the verdict on it: `ruling`, asked after each block of a log that has ended.

The operator asks it at every tick. Both come to the same, because a crossing counts from the block
where it happened. What a log does not tell (the deadline, pauses, what Prometheus says) is not
looked at, and each candidate is judged as if it were alone with control.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from learnops.api.canary import Verdict
from learnops.domain.evidence import anytime, fixed_horizon, sample_ratio
from learnops.domain.evidence.blocks import BLOCK_RUNS
from learnops.domain.evidence.ruling import Limits, Look, Reason, ruling
from learnops.domain.evidence.sample_ratio import SampleRatio, SampleRatioState
from learnops.domain.evidence.standing import Evidence
from learnops.domain.evidence.types import LOSS, Observations, TestPlan

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        reason: in the operator's word.
        runs: number of the run, in registration order, at whose block end the verdict fell; all
            judged runs where none did.
        candidate_runs: candidate runs among these.
        culprit: "loss" or the guardrail that a roll-back is for.
        evidence: at that run.
        ratio: the sample ratio at that run.
    """

    verdict: Verdict
    reason: Reason
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
    course = _Course.of(plan, limits, log)
    at, reason = course.ending()
    head = _head(log, at)
    evidence = course.whole
    if plan.horizon is None:
        evidence = anytime.advance(anytime.start(plan), head).evidence()
    return Judgement(
        verdict=reason.verdict,
        reason=reason,
        runs=at,
        candidate_runs=_candidate_runs(head) if plan.horizon is None else evidence.candidate_runs,
        culprit=course.culprit(reason, evidence),
        evidence=evidence,
        ratio=_count(SampleRatioState(), head).result(),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Course:
    """What a look at each of the block ends would have seen.

    Attributes:
        whole: the evidence at the end; its crossings tell what was known at every block end.
        ends: runs that are judged by then, rising; 0 comes first.
        candidates, everyone: runs of the candidate and of all arms, by then; void ones are not.
        breached_at: the run with one breach too many of `broken`; it need not wait for its block.
    """

    limits: Limits
    log: Observations
    whole: Evidence
    ends: NDArray[np.int64]
    candidates: NDArray[np.int64]
    everyone: NDArray[np.int64]
    breached_at: int | None
    broken: str | None

    @classmethod
    def of(cls, plan: TestPlan, limits: Limits, log: Observations) -> "_Course":
        if plan.horizon is None:
            whole = anytime.advance(anytime.start(plan), log).evidence()
            ends = np.arange(0, len(log) + 1, BLOCK_RUNS)
        else:  # before its one look nothing may be concluded; after it the tests stand
            state = fixed_horizon.advance(fixed_horizon.start(plan), log)
            whole = state.evidence()
            ends = np.arange(state.looked_at or len(log), len(log) + 1, BLOCK_RUNS)
        upto = len(log) if plan.horizon is None else plan.horizon
        breached_at, broken = _breached(plan, limits, log)
        return cls(
            limits=limits,
            log=log,
            whole=whole,
            ends=ends,
            candidates=_counted(log, log.is_candidate, upto=upto)[ends],
            everyone=_counted(log, np.ones(len(log), dtype=np.bool_), upto=upto)[ends],
            breached_at=breached_at,
            broken=broken,
        )

    def ending(self) -> tuple[int, Reason]:
        """The run at which it was over, and why; of a log that decides nothing, its end."""
        rulings = ((at, ruling(look, self.limits)) for at, look in self._looks())
        at, reason = _first_end(rulings)
        if self.breached_at is not None:
            if reason is Reason.GUARDRAIL_BREACHED:
                return self.breached_at, reason
            if not reason.ends:  # in the incomplete block, where nothing else is judged
                return self.breached_at, Reason.GUARDRAIL_BREACHED
        return at, reason

    def culprit(self, reason: Reason, evidence: Evidence) -> str | None:
        if reason is Reason.GUARDRAIL_BREACHED:
            return self.broken
        if reason is Reason.WORSE:
            return evidence.culprit or LOSS
        return None

    def _looks(self) -> Iterator[tuple[int, Look]]:
        """From the first block end on at which anything but the split could be said."""
        ratio, counted = SampleRatioState(), 0
        for place in range(self._first_place(), len(self.ends)):
            at = int(self.ends[place])
            ratio, counted = _count(ratio, _cut(self.log, slice(counted, at))), at
            yield at, self._look(place, mismatch=ratio.result().alarm)

    def _look(self, place: int, *, mismatch: bool) -> Look:
        whole, at = self.whole, int(self.ends[place])
        futile_at = None if whole.futility is None else whole.futility.crossed_at
        return Look(
            breached=_by(self.breached_at, at),
            worse=_by(whole.rollback.crossed_at, at),
            worse_at=whole.rollback.crossed_at,
            futile=_by(futile_at, at),
            futile_at=futile_at,
            mismatch=mismatch,
            better=_by(_better_at(whole), at),
            candidate_runs=int(self.candidates[place]),
            all_runs=int(self.everyone[place]),
        )

    def _first_place(self) -> int:
        """No rule but that of the split, which ends nothing, can speak before it."""
        whole = self.whole
        tests = (whole.rollback, *((whole.futility,) if whole.futility else ()))
        crossed = (self.breached_at, _better_at(whole), *(it.crossed_at for it in tests))
        first = min((at for at in crossed if at is not None), default=_NEVER)
        places = (
            np.searchsorted(self.ends, first),
            np.searchsorted(self.everyone, self.limits.max_runs),
        )
        return min(int(min(places)), len(self.ends) - 1)


def _first_end(rulings: Iterable[tuple[int, Reason]]) -> tuple[int, Reason]:
    """The first ruling that ends it, else the last."""
    found = 0, Reason.PROGRESSING
    for found in rulings:
        if found[1].ends:
            break
    return found


def _by(crossed_at: int | None, at: int) -> bool:
    return crossed_at is not None and crossed_at <= at


def _better_at(whole: Evidence) -> int | None:
    """Where the last of the tests that promotion needs was decided."""
    crossed = [it.crossed_at for it in (whole.promote, *(it.promote for it in whole.guardrails))]
    found = [at for at in crossed if at is not None]
    return max(found) if len(found) == len(crossed) else None


def _breached(plan: TestPlan, limits: Limits, log: Observations) -> tuple[int | None, str | None]:
    """The run with which a guardrail had one breach too many, and which guardrail it was."""
    first: tuple[int | None, str | None] = (None, None)
    mine = log.is_candidate if log.void is None else log.is_candidate & ~log.void
    for place, (guardrail, borne) in enumerate(zip(plan.guardrails, limits.breaches, strict=False)):
        if borne is None or log.terms is None:
            continue
        breaches = np.flatnonzero(mine & (log.terms[:, place] > guardrail.tolerance))
        if len(breaches) > borne and (first[0] is None or breaches[borne] + 1 < first[0]):
            first = int(breaches[borne]) + 1, guardrail.term
    return first


def _counted(log: Observations, which: NDArray[np.bool_], *, upto: int) -> NDArray[np.int64]:
    """How many of these runs, void ones left out, the log's first 0, 1, 2, ... runs have; of all
    that count, no more than the first `upto`."""
    live = np.ones(len(log), dtype=np.bool_) if log.void is None else ~log.void
    live &= np.cumsum(live) <= upto
    return np.concatenate(([0], np.cumsum(which & live, dtype=np.int64)))


def _candidate_runs(head: Observations) -> int:
    return int(_counted(head, head.is_candidate, upto=len(head))[-1])


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

"""Several candidates against one control: losers are dropped, the first to be proved wins."""

from collections.abc import Sequence

from learnops.api.canary import CanaryDeployment, Verdict
from learnops.api.doer import PendingAudit
from learnops.api.policy import Stage
from learnops.domain.attempt import salt_of
from learnops.domain.observed import EvidenceReading
from learnops.domain.planner import audit
from learnops.domain.planner.canary_end import DROPPED, descent, over_for, remember
from learnops.domain.planner.decision import End
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.live import Live
from learnops.domain.planner.traffic import percents_of, with_candidates

_NEVER = float("inf")


def drop(live: Live, end: End) -> None:
    """The candidate's share goes to control and it is Rejected; the others go on as they were.

    Down: traffic first, with the move noted in the same write; nothing waits for the run log.
    """
    draft, canary, traffic = live.draft, live.canary, live.draft.status.traffic
    assert traffic is not None
    salt = salt_of(canary, live.status)
    moved = descent(draft, candidate=live.candidate, rollout=salt, end=end)
    percents = {it: percent for it, percent in percents_of(traffic).items() if it != live.candidate}
    draft.set_doer(traffic=with_candidates(traffic, canary, salt=salt, percents=percents))
    audit.note_descent(draft, moves=(moved,), outcome=None, reason=end.reason)
    settle_drops(draft, canary)
    draft.event(canary, "CandidateDropped", end.message, warning=True)


def settle_drops(draft: Draft, canary: CanaryDeployment) -> None:
    """Say in the canary's status who was dropped, also where a stop came before it was said.

    The step in force began when it did: that control has more is no new step.
    """
    name, traffic = canary.metadata.name, draft.status.traffic
    status = draft.canaries[name]
    racing = {it.name for it in status.candidates if it.verdict not in DROPPED}
    for moved in _drops(draft, salt_of(canary, status)):
        if moved.policy in racing and traffic is not None:
            candidates = over_for(status, moved.policy, _verdict(moved))
            status = status.model_copy(update={"candidates": candidates})
            draft.set_canary(name, candidates=candidates, shares=traffic.shares)
            remember(draft, name, percent=0, reason=moved.reason, message=moved.why)


def _drops(draft: Draft, rollout: str) -> list[PendingAudit]:
    pending = draft.status.pending_audit
    rejected = (it for it in pending if it.to_stage == Stage.REJECTED and not it.outcome)
    return [it for it in rejected if it.rollout == rollout]


def best(proved: Sequence[Live]) -> Live:
    """Who is promoted where several may be: of those that were proved in the earliest block, the
    one whose difference has the lowest upper bound.

    The earliest block, because it is in the log: the winner must not depend on when it was looked
    at. The upper bound, because it is what is known, while an estimate favours the luckiest.
    """
    return min(proved, key=_rank)


def _rank(live: Live) -> tuple[float, float, float]:
    reading = live.reading
    if reading is None:
        return _NEVER, _NEVER, _NEVER
    difference = reading.difference
    bounds = (difference.high, difference.estimate) if difference else (_NEVER, _NEVER)
    return _proved_at(reading), *bounds


def _proved_at(reading: EvidenceReading) -> float:
    """The run at whose block end the last of the tests that promotion needs was decided."""
    tests = (reading.promote, *(it.promote for it in reading.guardrails))
    return max(_NEVER if it.crossed_at is None else it.crossed_at for it in tests)


def _verdict(moved: PendingAudit) -> Verdict:
    return Verdict.FUTILE if moved.reason == Verdict.FUTILE else Verdict.ROLLBACK

"""What the rules look at while a canary has traffic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from learnops.api.canary import CanaryDeployment, CanaryStatus, Run, Verdict
from learnops.api.guardrails import TermGuardrail, on_terms
from learnops.api.rollout import Source
from learnops.domain.arms import candidates_of, served
from learnops.domain.evidence.ruling import Limits, Look, Reason, ruling
from learnops.domain.observed import Evidence, EvidenceReading, ShadowReading
from learnops.domain.planner.canary_end import tried
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.numbers import crossed
from learnops.domain.planner.traffic import holds, in_shadow
from learnops.domain.unavailable import ErrorReason, Unavailable

NOT_OBSERVED = Unavailable(reason=ErrorReason.NO_DATA, message="no evidence was read in this pass")

_FINAL = (Verdict.PROMOTE, Verdict.ROLLBACK, Verdict.FUTILE)


@dataclass(frozen=True, kw_only=True)
class Live:
    """One candidate of the canary that has traffic, and what is known of it in this pass."""

    draft: Draft
    canary: CanaryDeployment
    candidate: str
    evidence: Evidence

    @property
    def status(self) -> CanaryStatus:
        """The canary's status as this pass has it so far."""
        return self.draft.canaries[self.canary.metadata.name]

    @property
    def several(self) -> bool:
        """Whether the canary was made for more than one candidate, so that sentences name it."""
        return len(candidates_of(self.canary)) > 1

    @property
    def percent(self) -> int:
        """The candidate's share."""
        return served(self.draft.status.traffic, self.candidate)

    @property
    def reading(self) -> EvidenceReading | None:
        """The evidence, None where it could not be had."""
        return self.evidence if isinstance(self.evidence, EvidenceReading) else None

    @property
    def pairs(self) -> ShadowReading | None:
        """The evidence of a shadow stage, None in any other or where it could not be had."""
        return self.evidence if isinstance(self.evidence, ShadowReading) else None

    @property
    def in_shadow(self) -> bool:
        """Whether the candidate answers nobody yet."""
        return in_shadow(self.draft.status.traffic)

    @property
    def paused(self) -> bool:
        """Whether a person stopped it, or all of them, from going up."""
        return self.canary.spec.run is Run.PAUSED or not self.draft.snap.canaries_enabled

    @property
    def deadline(self) -> datetime:
        """When it must have come to a verdict."""
        since = self.status.start_time or self.draft.now
        return since + timedelta(seconds=self.canary.spec.analysis.deadline_seconds)

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self.draft.now >= self.deadline

    @property
    def latched(self) -> Verdict | None:
        """The verdict that stands in the status already: it is not taken back."""
        verdicts = (it.verdict for it in self.status.candidates if it.name == self.candidate)
        return next((it for it in verdicts if it in _FINAL), None)

    @property
    def ruling(self) -> Reason:
        """What the evidence, and the verdict that stands in the status, come to."""
        return ruling(self._look, Limits.of(self.canary.spec.analysis))

    @property
    def breach(self) -> tuple[TermGuardrail, int] | None:
        """The first guardrail with more breaches than a person was ready to bear, and how many."""
        reading = self.reading
        counts = {it.term: it.breaches for it in reading.guardrails} if reading else {}
        for guardrail in on_terms(self.canary.spec.analysis.guardrails):
            found = counts.get(guardrail.term, 0)
            if guardrail.borne is not None and found > guardrail.borne:
                return guardrail, found
        return None

    @property
    def better(self) -> bool:
        """The evidence says that the candidate may replace control.

        Of counters a verdict that stands in the status is enough. The run log shows its crossing at
        every look, so one that it shows no more rested on runs that are gone: an older database
        was restored.
        """
        reading = self.reading
        counted = self.canary.spec.analysis.source is Source.PROMETHEUS
        return (counted and self.latched is Verdict.PROMOTE) or (
            reading is not None
            and crossed(reading.promote)
            and all(crossed(it.promote) for it in reading.guardrails)
        )

    @property
    def _look(self) -> Look:
        reading, latched = self.reading, self.latched
        rolled_back = latched is Verdict.ROLLBACK
        if reading is None:
            return Look(
                breached=False,
                worse=rolled_back,
                futile=latched is Verdict.FUTILE,
                mismatch=False,
                better=False,
                candidate_runs=0,
                all_runs=0,
            )
        futility, ratio = reading.futility, reading.sample_ratio
        ended_in_vain = latched is Verdict.FUTILE
        return Look(
            breached=self.breach is not None,
            worse=not ended_in_vain and (rolled_back or crossed(reading.rollback)),
            worse_at=reading.rollback.crossed_at,
            futile=ended_in_vain or (futility is not None and crossed(futility)),
            futile_at=None if futility is None else futility.crossed_at,
            mismatch=ratio is not None and ratio.alarm,
            better=self.better,
            current=reading.prefix_current,
            candidate_runs=reading.candidate_runs,
            all_runs=reading.all_runs,
        )


def lives_of(draft: Draft) -> tuple[Live, ...]:
    """The candidates of the canary that has traffic, as far as they are still in the race; none
    where there is no such canary."""
    for canary in draft.live_canaries():
        if holds(draft.status.traffic, canary, draft.canaries[canary.metadata.name]):
            evidence = draft.snap.evidence
            return tuple(
                Live(
                    draft=draft,
                    canary=canary,
                    candidate=name,
                    evidence=evidence.get(name, NOT_OBSERVED),
                )
                for name in tried(draft, canary)
            )
    return ()


def holder_of_traffic(draft: Draft) -> CanaryDeployment | None:
    """The canary that has traffic, None where there is none."""
    return next((live.canary for live in lives_of(draft)), None)

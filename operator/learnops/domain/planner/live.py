"""What the rules look at while a canary has traffic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from learnops.api.canary import CanaryDeployment, CanaryStatus, Run, Verdict
from learnops.domain.observed import Evidence, EvidenceReading, ShadowReading
from learnops.domain.outcome import ErrorReason, Unavailable
from learnops.domain.planner.canary_end import candidate_of
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.numbers import crossed
from learnops.domain.planner.traffic import candidate_percent, holds, in_shadow

NOT_OBSERVED = Unavailable(reason=ErrorReason.NO_DATA, message="no evidence was read in this pass")

_FINAL = (Verdict.PROMOTE, Verdict.ROLLBACK, Verdict.FUTILE)


@dataclass(frozen=True, kw_only=True)
class Live:
    """One canary that has traffic, and what is known of it in this pass."""

    draft: Draft
    canary: CanaryDeployment
    evidence: Evidence

    @property
    def status(self) -> CanaryStatus:
        """Its status as this pass has it so far."""
        return self.draft.canaries[self.canary.metadata.name]

    @property
    def candidate(self) -> str:
        """The candidate's name."""
        return candidate_of(self.canary)

    @property
    def percent(self) -> int:
        """The candidate's share."""
        return candidate_percent(self.draft.status.traffic)

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
        """Whether a person stopped it from going up."""
        return self.canary.spec.run is Run.PAUSED

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
        verdict = self.status.candidates[0].verdict if self.status.candidates else None
        return verdict if verdict in _FINAL else None

    @property
    def worse(self) -> bool:
        """The evidence says that the candidate is worse."""
        reading = self.reading
        return self.latched is Verdict.ROLLBACK or (
            reading is not None and crossed(reading.rollback)
        )

    @property
    def futile(self) -> bool:
        """The evidence says that the candidate is not worth waiting for, and said so first.

        Where one look finds both crossings, the earlier block decides, a tie rolls back: the
        verdict must not depend on how often it was looked at.
        """
        reading = self.reading
        if self.latched is Verdict.FUTILE:
            return True
        if reading is None or reading.futility is None or not crossed(reading.futility):
            return False
        since, worse = reading.futility.crossed_at, reading.rollback.crossed_at
        earlier = since is not None and worse is not None and since < worse
        return earlier or not self.worse

    @property
    def better(self) -> bool:
        """The evidence says that the candidate may replace control."""
        reading = self.reading
        return self.latched is Verdict.PROMOTE or (
            reading is not None
            and crossed(reading.promote)
            and all(crossed(it.promote) for it in reading.guardrails)
        )


def live_of(draft: Draft) -> Live | None:
    """The canary that has traffic, None where there is none."""
    for canary in draft.live_canaries():
        if holds(draft.status.traffic, canary, draft.canaries[canary.metadata.name]):
            evidence = draft.snap.evidence.get(canary.metadata.name, NOT_OBSERVED)
            return Live(draft=draft, canary=canary, evidence=evidence)
    return None

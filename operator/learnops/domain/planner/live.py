"""What the rules look at while a canary has traffic."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from learnops.api.canary import CanaryDeployment, CanaryStatus, Run, Verdict
from learnops.api.rollout import Source
from learnops.domain.arms import candidates_of, served
from learnops.domain.observed import Evidence, EvidenceReading, ShadowReading
from learnops.domain.outcome import ErrorReason, Unavailable
from learnops.domain.planner.canary_end import tried
from learnops.domain.planner.draft import Draft
from learnops.domain.planner.numbers import crossed
from learnops.domain.planner.traffic import holds, in_shadow

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

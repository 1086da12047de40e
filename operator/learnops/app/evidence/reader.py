"""Which source a canary is judged from."""

from dataclasses import dataclass

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.rollout import Source
from learnops.app.evidence.counters import CounterEvidence
from learnops.app.evidence.reading import rollout_id
from learnops.app.evidence.runlog import LogReading, RunLogEvidence
from learnops.domain.observed import Key


@dataclass(frozen=True, kw_only=True)
class EvidenceReader:
    """Reads the evidence of live canaries, each from its own source."""

    runlog: RunLogEvidence
    counters: CounterEvidence

    async def read(
        self, *, key: Key, doer: Doer, canary: CanaryDeployment, candidate: str
    ) -> LogReading:
        """The evidence on a candidate, and when to look again at the latest; failures are data."""
        if canary.spec.analysis.source is Source.RUN_LOG:
            return await self.runlog.read(key=key, doer=doer, canary=canary, candidate=candidate)
        evidence = await self.counters.read(key=key, doer=doer, canary=canary)
        return LogReading(evidence=evidence)

    def keep_only(self, key: Key, *, live: tuple[CanaryDeployment, ...]) -> None:
        """Forget what is kept of the doer's canaries that are not live any more."""
        rollouts = {rollout_id(canary) for canary in live}
        self.runlog.keep_only(key, rollouts=rollouts)
        self.counters.keep_only(key, rollouts=rollouts)

"""Which source a canary is judged from."""

from dataclasses import dataclass

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.api.rollout import Source
from learnops.app.evidence.counters import CounterEvidence
from learnops.app.evidence.reading import rollout_id
from learnops.app.evidence.runlog import LogReading, RunLogEvidence
from learnops.app.evidence.shadow import PairEvidence, in_shadow
from learnops.domain.evidence.fixed_horizon import HorizonState
from learnops.domain.evidence.remaining import State
from learnops.domain.observed import Key


@dataclass(frozen=True, kw_only=True)
class EvidenceReader:
    """Reads the evidence of live canaries, each from its own source."""

    runlog: RunLogEvidence
    counters: CounterEvidence
    pairs: PairEvidence

    async def read(
        self, *, key: Key, doer: Doer, canary: CanaryDeployment, candidate: str
    ) -> LogReading:
        """The evidence on a candidate, and when to look again at the latest; failures are data."""
        if in_shadow(doer, canary):
            return await self.pairs.read(key=key, canary=canary)
        if canary.spec.analysis.source is Source.RUN_LOG:
            return await self.runlog.read(key=key, doer=doer, canary=canary, candidate=candidate)
        evidence = await self.counters.read(key=key, doer=doer, canary=canary)
        return LogReading(evidence=evidence)

    def state_of(
        self, key: Key, canary: CanaryDeployment, candidate: str
    ) -> State | HorizonState | None:
        """The state of the engine for a candidate, None where there is none yet."""
        if canary.spec.analysis.source is Source.RUN_LOG:
            return self.runlog.state_of(key, canary, candidate)
        return self.counters.state_of(canary)

    def keep_only(self, key: Key, *, live: tuple[CanaryDeployment, ...]) -> None:
        """Forget what is kept of the doer's canaries that are not live any more."""
        rollouts = {rollout_id(canary) for canary in live}
        self.runlog.keep_only(key, rollouts=rollouts)
        self.counters.keep_only(key, rollouts=rollouts)
        self.pairs.keep_only(key, rollouts=rollouts)

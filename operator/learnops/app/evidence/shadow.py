"""Shadow stages: evidence from the pairs in the run log.

As with Anytime the state is kept in memory only; it is a pure function of the pairs in their order.
"""

from math import exp
from secrets import token_hex

import numpy as np

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.app.evidence.reading import refused, rollout_id
from learnops.app.evidence.runlog import LogReading, restored
from learnops.domain.evidence import shadow
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.shadow import ShadowEvidence, ShadowPlan, ShadowState
from learnops.domain.observed import DifferenceReading, EValue, Key, ShadowReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.runlog import PairLog, RunLogRestoredError, RunLogUnavailableError

_CHUNK_PAIRS = 5_000


def in_shadow(doer: Doer, canary: CanaryDeployment) -> bool:
    """Whether this attempt of the canary is in its shadow stage."""
    traffic = doer.status.traffic
    if traffic is None or traffic.shadow is None:
        return False
    return traffic.salt == rollout_id(canary)


def shadow_plan(canary: CanaryDeployment) -> ShadowPlan:
    """The test of the stage: the level and tolerance of roll-back, on pairs."""
    analysis, strategy = canary.spec.analysis, canary.spec.strategy.shadow
    tolerance = analysis.rollback.tolerance
    return ShadowPlan(
        level=float(analysis.rollback.level),
        tolerance=float(analysis.promote.margin if tolerance is None else tolerance),
        min_pairs=1 if strategy is None else strategy.min_runs,
    )


class PairEvidence:
    """Evidence of shadow stages; one state per rollout, dropped when it is no longer asked for."""

    def __init__(self, *, pairs: PairLog) -> None:
        self._pairs = pairs
        self._states: dict[Key, dict[str, ShadowState]] = {}
        # Under which the log keeps what it has given; one per state.
        self._readers: dict[str, str] = {}

    def keep_only(self, key: Key, *, rollouts: set[str]) -> None:
        """Forget the doer's rollouts that ended."""
        known = self._states.pop(key, {})
        kept = {id_: one for id_, one in known.items() if id_ in rollouts}
        if kept:
            self._states[key] = kept
        for ended in known.keys() - kept.keys():
            self._readers.pop(ended, None)

    async def read(self, *, key: Key, canary: CanaryDeployment) -> LogReading:
        """The evidence on all pairs resolved by now. Raises nothing but cancellation."""
        try:
            state, next_timeout = await self._catch_up(key, canary)
        except RunLogRestoredError as error:
            self._states.get(key, {}).pop(rollout_id(canary), None)
            return LogReading(evidence=restored(error))
        except RunLogUnavailableError as error:
            reason = ErrorReason.RUN_LOG_UNAVAILABLE
            return LogReading(evidence=Unavailable(reason=reason, message=f"run log: {error}"))
        except EvidenceError as error:
            return LogReading(evidence=refused(error, otherwise=ErrorReason.RUN_LOG_INVALID))
        reading = _to_reading(state.evidence())
        return LogReading(evidence=reading, next_timeout_seconds=next_timeout)

    async def _catch_up(
        self, key: Key, canary: CanaryDeployment
    ) -> tuple[ShadowState, float | None]:
        """The state at the last resolved pair, and when the next one times out."""
        rollout, plan = rollout_id(canary), shadow_plan(canary)
        of_doer = self._states.setdefault(key, {})
        state = of_doer.get(rollout)
        if state is None or state.plan != plan:
            state = of_doer[rollout] = shadow.start(plan)
            self._readers[rollout] = token_hex(8)
        while True:
            rows = await self._pairs.shadow_pairs(
                key=key,
                rollout=rollout,
                after=state.watermark,
                limit=_CHUNK_PAIRS,
                reader=self._readers[rollout],
            )
            state = of_doer[rollout] = shadow.advance(
                state,
                seq=np.asarray(rows.seq, dtype=np.int64),
                candidate=np.asarray(rows.candidate_loss, dtype=np.float64),
                control=np.asarray(rows.control_loss, dtype=np.float64),
            )
            if len(rows.seq) < _CHUNK_PAIRS:
                return state, rows.next_timeout_seconds


def _to_reading(evidence: ShadowEvidence) -> ShadowReading:
    harm, found = evidence.harm, evidence.difference
    return ShadowReading(
        harm=EValue(
            log_e=harm.log_e, threshold=exp(harm.log_threshold), crossed_at=harm.crossed_at
        ),
        pairs=evidence.pairs,
        candidate_loss=evidence.candidate_loss,
        control_loss=evidence.control_loss,
        difference=None
        if found is None
        else DifferenceReading(estimate=found.estimate, low=found.low, high=found.high),
    )

"""The watch over an active policy: read on in the run log, fold, keep the state.

Nothing is kept in memory: the state and its watermark are in the run log, so that a restart goes on
where the last look ended and no run is read twice.
"""

from dataclasses import dataclass

from learnops.api.doer import Doer
from learnops.api.learning import DriftStatus
from learnops.domain.evidence.drift import DriftState, advance
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.observed import DriftReading, Key
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.runlog import DriftRows, DriftWatch, RunLog, RunLogUnavailableError

_CHUNK_RUNS = 10_000  # about 10 ms of arithmetic between two awaits


@dataclass(frozen=True, kw_only=True)
class DriftEvidence:
    """Reads the watches of doers."""

    runlog: RunLog
    chunk_runs: int = _CHUNK_RUNS

    async def read(self, *, key: Key, doer: Doer) -> DriftReading | Unavailable:
        """What the doer's watch finds in all runs stored by now; failures are data.

        Cancelled between two chunks (a deadline), it goes on from there the next time. The doer's
        status must have a watch.
        """
        told = doer.status.drift
        assert told is not None
        watch = watch_of(doer, told)
        threshold = float(doer.spec.learning.drift.false_alarm_every_runs)
        try:
            state = await self._catch_up(key, watch, threshold=threshold)
        except RunLogUnavailableError as error:
            reason = ErrorReason.RUN_LOG_UNAVAILABLE
            return Unavailable(reason=reason, message=f"run log: {error}")
        except EvidenceError as error:
            return Unavailable(reason=ErrorReason.RUN_LOG_INVALID, message=str(error))
        return DriftReading(runs=state.runs, baseline=state.baseline, alarm_at_run=state.alarm_at)

    async def _catch_up(self, key: Key, watch: DriftWatch, *, threshold: float) -> DriftState:
        while True:
            rows = await self.runlog.drift_rows(key=key, watch=watch, limit=self.chunk_runs)
            if rows is None:
                raise RunLogUnavailableError("a newer promotion of this doer is watched already")
            state = _advanced(rows, threshold=threshold)
            if not rows.seq:
                return state
            await self.runlog.save_drift(
                key=key,
                watch=watch,
                state=state.to_json(),
                watermark=rows.seq[-1],
                alarmed=state.alarm_at is not None,
            )
            if len(rows.seq) < self.chunk_runs:
                return state


def watch_of(doer: Doer, drift: DriftStatus) -> DriftWatch:
    """The watch in the run log that a status tells of."""
    return DriftWatch(
        id=f"{doer.metadata.uid}.{drift.since_revision}.{drift.crl_digest[-12:]}",
        policy=drift.policy,
        since_revision=drift.since_revision,
    )


def _advanced(rows: DriftRows, *, threshold: float) -> DriftState:
    """Raises EvidenceError; a gap would be a run that was never judged."""
    state = DriftState() if rows.state is None else DriftState.from_json(rows.state)
    first = rows.watermark + 1
    if list(rows.seq) != list(range(first, first + len(rows.seq))):
        raise EvidenceError(
            reason=EvidenceReason.SEQUENCE_GAP,
            detail=f"the watch must go on with run {first} without a gap; was an older database "
            "restored?",
        )
    return advance(state, rows.loss, threshold=threshold)

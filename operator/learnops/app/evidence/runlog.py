"""Anytime and FixedHorizon: evidence from the resolved prefix of the run log.

The engine's state is kept in memory only. It is a pure function of the log, so after a restart it
is computed again from the first run and comes out the same, bit for bit. Each analysis generation
is judged by a state of its own, from its first run on. What was read of a log that was restored to
an older state is thrown away: nothing is decided on runs that are gone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from secrets import token_hex

import numpy as np

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from learnops.app.evidence.columns import between, breaches_of, columns_of, control_counts
from learnops.app.evidence.generations import generation_reading, plan_for
from learnops.app.evidence.reading import (
    candidate_percent,
    plan_of,
    refused,
    rollout_id,
    to_reading,
)
from learnops.domain.evidence import anytime, fixed_horizon, sample_ratio
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.sample_ratio import SampleRatioState
from learnops.domain.evidence.types import Observations
from learnops.domain.observed import Evidence, EvidenceReading, Key
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.runlog import (
    Generation,
    LogRows,
    RunLog,
    RunLogRestoredError,
    RunLogUnavailableError,
)

_Arm = tuple[str, str]  # rollout and candidate
_CHUNK_RUNS = 10_000  # a whole number of blocks; about 20 ms of arithmetic between two awaits


@dataclass(frozen=True, kw_only=True)
class _Progress:
    """One generation's state, and what is counted over all of them up to its watermark.

    `worse` is the first earlier generation whose runs rolled back: that verdict stands, also where
    the last of them were resolved when the next generation had begun.
    """

    candidate: str
    generation: Generation
    state: anytime.EngineState | fixed_horizon.HorizonState
    worse: "_Progress | None" = None
    control_runs: int = 0
    control_timeouts: float = 0.0
    breaches: tuple[int, ...] = ()
    ratio: SampleRatioState = field(default_factory=SampleRatioState)
    reader: str = ""  # under which the log keeps what it has given

    @classmethod
    def begun(
        cls, canary: CanaryDeployment, candidate: str, generation: Generation, *, reader: str = ""
    ) -> "_Progress":
        """Every e-value is 1, and blocks count from the generation's first run on."""
        state = _started(canary, candidate, generation)
        return cls(candidate=candidate, generation=generation, state=state, reader=reader)

    def continues(self, canary: CanaryDeployment, generations: Sequence[Generation]) -> bool:
        """Whether it belongs to what is on record (an older database may have been restored)."""
        same_plan = self.state.plan == plan_for(canary, self.candidate, self.generation)
        return same_plan and self.generation in generations

    def over(self, canary: CanaryDeployment, rows: LogRows) -> "_Progress":
        """Advance by the rows after the watermark, into the generations that begin among them."""
        progress, after, first = self, self.state.watermark, 0
        for following in rows.generations:
            last = following.first_seq - 1 - after
            if following.number <= self.generation.number:
                continue
            if last > len(rows.seq):
                break
            progress = progress.followed_by(canary, following, between(rows, first, last))
            first = last
        return progress.advance(between(rows, first, len(rows.seq)))

    def followed_by(
        self, canary: CanaryDeployment, following: Generation, rows: LogRows
    ) -> "_Progress":
        """The next generation, after the last rows of this one; its incomplete block is not judged.

        Breaches, timeouts and the split are facts whatever the weights, so they count on.
        """
        done = self.advance(rows)
        tail = between(rows, done.state.watermark - self.state.watermark, len(rows.seq))
        runs, timeouts = control_counts(
            tail, columns_of(tail, self.state.plan), first=len(tail.seq)
        )
        return replace(
            done,
            generation=following,
            state=_started(canary, self.candidate, following),
            worse=done.rolled_back,
            control_runs=done.control_runs + runs,
            control_timeouts=done.control_timeouts + timeouts,
            breaches=done.breaches_with(tail, first=len(tail.seq)),
            ratio=done.ratio_with(tail),
        )

    @property
    def rolled_back(self) -> "_Progress | None":
        """The first generation up to this one whose runs rolled back."""
        crossed = self.state.evidence().rollback.crossed_at is not None
        return self.worse or (self if crossed else None)

    def judged(self, canary: CanaryDeployment, newest: Generation) -> "_Progress":
        """Whose evidence stands: a generation that rolled back, else the newest, be it empty."""
        if self.rolled_back is not None:
            return self.rolled_back
        if self.generation == newest:
            return self
        return _Progress.begun(canary, self.candidate, newest)

    def advance(self, rows: LogRows) -> "_Progress":
        columns = columns_of(rows, self.state.plan)
        state = _advanced(self.state, columns)
        judged = state.watermark - self.state.watermark
        runs, timeouts = control_counts(rows, columns, first=judged)
        return replace(
            self,
            state=state,
            control_runs=self.control_runs + runs,
            control_timeouts=self.control_timeouts + timeouts,
            breaches=self.breaches_with(rows, first=judged),
            ratio=self.ratio_with(between(rows, 0, judged)),
        )

    def ratio_with(self, rows: LogRows) -> SampleRatioState:
        """The split, with these rows; they follow what it holds."""
        completed = np.asarray(rows.timed_out, dtype=np.float64) < 1.0
        columns = columns_of(rows, self.state.plan)
        return sample_ratio.advance(self.ratio, columns, completed=completed)

    def breaches_with(self, rows: LogRows, *, first: int) -> tuple[int, ...]:
        """Per guardrail, the count with the first of these rows."""
        guardrails = self.state.plan.guardrails
        known = self.breaches or (0,) * len(guardrails)
        found = (breaches_of(rows, guardrail, first=first) for guardrail in guardrails)
        return tuple(old + new for old, new in zip(known, found, strict=True))


@dataclass(frozen=True, kw_only=True)
class LogReading:
    """The evidence, and in how many seconds the next run times out (None: none is open)."""

    evidence: Evidence
    next_timeout_seconds: float | None = None


class RunLogEvidence:
    """Evidence of live rollouts; one state per rollout and candidate, dropped when the rollout is
    no longer asked for."""

    def __init__(self, *, runlog: RunLog, chunk_runs: int = _CHUNK_RUNS) -> None:
        self._runlog = runlog
        self._chunk = chunk_runs
        self._progress: dict[Key, dict[_Arm, _Progress]] = {}

    def keep_only(self, key: Key, *, rollouts: set[str]) -> None:
        """Forget the doer's rollouts that ended."""
        known = self._progress.pop(key, {})
        kept = {arm: one for arm, one in known.items() if arm[0] in rollouts}
        if kept:
            self._progress[key] = kept

    def state_of(
        self, key: Key, canary: CanaryDeployment, candidate: str
    ) -> anytime.EngineState | fixed_horizon.HorizonState | None:
        """The engine's state as last read; None before the first read."""
        known = self._progress.get(key, {}).get((rollout_id(canary), candidate))
        return None if known is None else known.state

    async def read(
        self, *, key: Key, doer: Doer, canary: CanaryDeployment, candidate: str
    ) -> LogReading:
        """The evidence on everything that is resolved by now. Raises nothing but cancellation.

        Cancelled between two chunks (a deadline), it goes on from there the next time.
        """
        try:
            tail = await self._catch_up(key, canary, candidate)
            progress = self._progress[key][rollout_id(canary), candidate]
            judged = progress.judged(canary, tail.generations[-1])
            percent = candidate_percent(doer, canary, candidate=candidate)
            reading = _to_reading(progress, tail, judged=judged, percent=percent)
        except RunLogRestoredError as error:
            self._progress.get(key, {}).pop((rollout_id(canary), candidate), None)
            return LogReading(evidence=restored(error))
        except RunLogUnavailableError as error:
            reason = ErrorReason.RUN_LOG_UNAVAILABLE
            message = f"run log: {error}"
            return LogReading(evidence=Unavailable(reason=reason, message=message))
        except EvidenceError as error:
            return LogReading(evidence=refused(error, otherwise=ErrorReason.RUN_LOG_INVALID))
        return LogReading(evidence=reading, next_timeout_seconds=tail.next_timeout_seconds)

    async def _catch_up(self, key: Key, canary: CanaryDeployment, candidate: str) -> LogRows:
        """Advance to the end of the resolved prefix; the last rows, from the watermark on."""
        rollout, plan = rollout_id(canary), plan_of(canary, candidate=candidate)
        arm: _Arm = (rollout, candidate)
        if plan.horizon is not None:
            # Seconds at its first use, which the event loop (and the Lease) must not wait for.
            await asyncio.to_thread(import_module, fixed_horizon.LIBRARY)
        of_doer = self._progress.setdefault(key, {})
        while True:
            progress = of_doer.get(arm)
            after = 0 if progress is None else progress.state.watermark
            reader = token_hex(8) if progress is None else progress.reader
            rows = await self._runlog.resolved_prefix(
                key=key,
                rollout=rollout,
                candidate=candidate,
                after=after,
                limit=self._chunk,
                grace_seconds=canary.spec.analysis.max_staleness_seconds,
                terms=[guardrail.term for guardrail in plan.guardrails],
                reader=reader,
            )
            if progress is None:
                first = rows.generations[0]
                progress = _Progress.begun(canary, candidate, first, reader=reader)
            elif not progress.continues(canary, rows.generations):
                of_doer.pop(arm, None)  # and again from the first run
                continue
            progress = of_doer[arm] = progress.over(canary, rows)
            if len(rows.seq) < self._chunk:
                return between(rows, progress.state.watermark - after, len(rows.seq))


def restored(error: RunLogRestoredError) -> Unavailable:
    """A log that lost what was read of it, as data for the planner: it holds, in this pass."""
    return Unavailable(reason=ErrorReason.RUN_LOG_RESTORED, message=f"run log: {error}")


def _started(
    canary: CanaryDeployment, candidate: str, generation: Generation
) -> anytime.EngineState | fixed_horizon.HorizonState:
    plan, before = plan_for(canary, candidate, generation), generation.first_seq - 1
    if plan.horizon is None:
        return anytime.start(plan, watermark=before)
    return fixed_horizon.start(plan, watermark=before)


def _advanced(
    state: anytime.EngineState | fixed_horizon.HorizonState, columns: Observations
) -> anytime.EngineState | fixed_horizon.HorizonState:
    if isinstance(state, anytime.EngineState):
        return anytime.advance(state, columns)
    return fixed_horizon.advance(state, columns)


def _to_reading(
    progress: _Progress, tail: LogRows, *, judged: _Progress, percent: int
) -> EvidenceReading:
    """`tail` is the incomplete block: no evidence yet, but its timeouts are known."""
    runs, timeouts = control_counts(
        tail, columns_of(tail, progress.state.plan), first=len(tail.seq)
    )
    control = progress.control_runs + runs
    return to_reading(
        judged.state.evidence(),
        percent=percent,
        prefix_current=tail.overdue == 0,
        control_timeout_fraction=(progress.control_timeouts + timeouts) / control
        if control
        else 0.0,
        breaches=progress.breaches_with(tail, first=len(tail.seq)),
        ratio=progress.ratio_with(tail).result(),
        generation=generation_reading(judged.generation),
    )

"""Figures of live canaries, read beside the passes that decide.

A roll-back must not wait for a forecast or for a count that only people read, so a pass takes what
was found last and starts the next look where one is due; its answer is there at a later tick.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from learnops.api.canary import CanaryDeployment
from learnops.app.evidence.outlook import outlook
from learnops.app.evidence.reading import rollout_id
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.fixed_horizon import HorizonState
from learnops.domain.evidence.pairs import Pairs
from learnops.domain.evidence.remaining import State
from learnops.domain.observed import FiguresReading, Key
from learnops.ports.clock import Clock
from learnops.ports.figures import Figures, FiguresUnavailableError

log = logging.getLogger(__name__)
EVERY_SECONDS = 300.0
# Sooner where the runs have doubled, nothing is known yet or the last look failed: a canary of a
# minute is to be told of as well.
_SOONEST_SECONDS = 10.0
_CHUNK_RUNS = 10_000

StateOf = Callable[[Key, CanaryDeployment, str], State | HorizonState | None]
_Arm = tuple[str, str]  # rollout and candidate


@dataclass(kw_only=True)
class _Known:
    """Of one candidate: what is known, and the look that is under way or was the last."""

    pairs: Pairs = field(default_factory=Pairs)
    reading: FiguresReading | None = None
    asked_at: float = 0.0
    asked_runs: int = 0
    look: asyncio.Task[None] | None = None
    failed: bool = False  # the last look that ended


class CanaryFigures:
    """`state_of` gives the state of the engine, None where there is none yet."""

    def __init__(self, *, source: Figures, clock: Clock, state_of: StateOf) -> None:
        self._source = source
        self._clock = clock
        self._state_of = state_of
        self._known: dict[Key, dict[_Arm, _Known]] = {}
        # Many canaries must not take connections and the processor from the passes.
        self._one_at_a_time = asyncio.Semaphore(1)

    def keep_only(self, key: Key, *, rollouts: set[str]) -> None:
        """Forget the doer's rollouts that ended, and end their looks."""
        known = self._known.pop(key, {})
        for (rollout, _), one in known.items():
            if rollout not in rollouts and one.look is not None:
                one.look.cancel()
        kept = {arm: one for arm, one in known.items() if arm[0] in rollouts}
        if kept:
            self._known[key] = kept

    def of(
        self, key: Key, canary: CanaryDeployment, candidate: str, *, runs: int
    ) -> FiguresReading | None:
        """What was found last, at once; `runs` is how many the evidence holds now."""
        arm = (rollout_id(canary), candidate)
        known = self._known.setdefault(key, {}).setdefault(arm, _Known())
        if self._due(known, runs):
            known.asked_at, known.asked_runs = self._clock.monotonic(), runs
            look = self._look(key, canary, candidate, known=known)
            known.look = asyncio.create_task(look, name="figures")
            known.look.add_done_callback(_report)
        return known.reading

    def _due(self, known: _Known, runs: int) -> bool:
        if known.look is None:
            return True
        if not known.look.done():
            return False
        age = self._clock.monotonic() - known.asked_at
        doubled = runs > 0 and runs >= 2 * known.asked_runs
        nothing = known.reading is None or known.reading.runs_still_needed is None
        soon = doubled or known.failed or (nothing and runs > 0)
        return age >= EVERY_SECONDS or (soon and age >= _SOONEST_SECONDS)

    async def _look(
        self, key: Key, canary: CanaryDeployment, candidate: str, *, known: _Known
    ) -> None:
        try:
            async with self._one_at_a_time:
                await self._count(key, (rollout_id(canary), candidate), known=known)
                per_day = await self._source.runs_per_day(key=key)
                known.reading = await self._told(
                    key, canary, candidate, pairs=known.pairs, per_day=per_day
                )
                known.failed = False
        except FiguresUnavailableError as error:
            # What is known stays, with its time; the evidence tells of the outage itself.
            known.failed = True
            log.info("figures not read", extra={"key": str(key), "error": str(error)})

    async def _count(self, key: Key, arm: _Arm, *, known: _Known) -> None:
        """Chunk by chunk; a look that fails goes on from there the next time."""
        more = True
        while more:
            after = known.pairs.watermark
            rows = await self._source.pairs(
                key=key, rollout=arm[0], candidate=arm[1], after=after, limit=_CHUNK_RUNS
            )
            known.pairs = known.pairs.advance(rows.sums, watermark=rows.until)
            more = rows.more

    async def _told(
        self,
        key: Key,
        canary: CanaryDeployment,
        candidate: str,
        *,
        pairs: Pairs,
        per_day: float | None,
    ) -> FiguresReading:
        now, state, found = self._clock.now(), self._state_of(key, canary, candidate), None
        # Of a canary without runs and a doer of unknown volume there is nothing to foresee:
        # hundreds of idle ones must cost nothing.
        if state is not None and (state.evidence().runs or per_day is not None):
            found = await asyncio.to_thread(
                outlook, canary, candidate, state, pairs=pairs, runs_per_day=per_day, now=now
            )
        return FiguresReading(
            as_of=now,
            runs_still_needed=None if found is None else found.runs_still_needed,
            likely=found is not None and found.likely,
            runs_per_day=per_day,
            other_steps=None if found is None else found.other_steps,
            win_rate=pairs.win_rate(),
            cost_delta=pairs.cost_delta(),
        )


def _report(look: asyncio.Task[None]) -> None:
    """Nobody awaits a look: what it raised is told here."""
    if look.cancelled():
        return
    error = look.exception()
    if isinstance(error, EvidenceError):
        log.warning("no forecast", extra={"reason": error.reason, "error": error.detail})
    elif error is not None:
        log.error("figures", exc_info=error, extra={"outcome": "Bug"})

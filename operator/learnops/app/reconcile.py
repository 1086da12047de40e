"""One pass over one key: observe, decide, act."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from learnops.app.act import Acted, Actor, End
from learnops.app.metrics import OperatorMetrics
from learnops.app.observe import Observation, Observer
from learnops.app.outcomes import count_outcomes
from learnops.app.refusal import Refusal
from learnops.app.workers import Next
from learnops.domain.observed import Key, Snapshot
from learnops.domain.plan import Plan
from learnops.ports.clock import Clock

log = logging.getLogger(__name__)
# Postgres resolves the run by its own clock: a look at the very moment may come too early.
_AFTER_TIMEOUT_SECONDS = 0.05
# A rise takes tens of runs to show and nothing is shifted on it at once: no need for every tick.
_DRIFT_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """The function that the workers run. `decide` is the planner."""

    observer: Observer
    actor: Actor
    decide: Callable[[Snapshot], Plan]
    metrics: OperatorMetrics
    clock: Clock
    tick_seconds: float = 10.0
    _refusals: dict[Key, Refusal] = field(default_factory=dict)
    _told: dict[Key, float] = field(default_factory=dict)  # the tick whose figures are written

    async def reconcile(self, key: Key) -> Next:
        """One pass; when to look at the key again."""
        started = self.clock.monotonic()
        if not self.actor.may_act():
            self._count(started, End.NOT_ACTIVE)
            return Next(retry=True)
        observation = await self.observer.observe(key)
        snapshot = observation.snapshot
        self.metrics.observed(snapshot)
        plan = self.decide(snapshot)
        if plan.figures_only and not self._due(key):
            self._count(started, End.DONE)
            return Next(after_seconds=self._next_look(key, observation, plan))
        acted = await self.actor.act(snapshot, plan, refusal=self._refusals.get(key))
        _log(key, plan, acted)
        self._count(started, acted.end)
        if acted.end is not End.DONE:
            return self._again(key, acted)
        count_outcomes(self.metrics, snapshot=snapshot, plan=plan)
        return Next(after_seconds=self._next_look(key, observation, plan))

    def _due(self, key: Key) -> bool:
        """Whether this tick's figures are still to be written: at most once per key and tick."""
        tick = self.clock.monotonic() // self.tick_seconds
        if self._told.get(key) == tick:
            return False
        self._told[key] = tick
        return True

    def bug(self, _key: Key) -> None:
        """A pass ended in an exception that nobody foresaw."""
        self.metrics.reconciles.labels(kind="Doer", result="bug").inc()

    def _count(self, started: float, end: End) -> None:
        self.metrics.duration.observe(self.clock.monotonic() - started)
        self.metrics.reconciles.labels(kind="Doer", result=end.value).inc()

    def _again(self, key: Key, acted: Acted) -> Next:
        if acted.refusal is not None:
            self._refusals[key] = acted.refusal
        return Next(retry=True, not_before=acted.retry_after or 0.0)

    def _next_look(self, key: Key, observation: Observation, plan: Plan) -> float | None:
        """The earliest of: what the plan asks for, the evidence tick, the next timeout of a run."""
        if self._refusals.pop(key, None) is not None:
            return 0.0  # the condition that tells of the refusal is to be taken back
        looks = [] if plan.requeue_after is None else [plan.requeue_after.total_seconds()]
        if not observation.live:
            self._told.pop(key, None)
        else:
            looks.append(self._until_tick())
        if observation.watched:
            looks.append(_DRIFT_TICKS * self.tick_seconds)
        if observation.wake_seconds is not None:
            looks.append(observation.wake_seconds + _AFTER_TIMEOUT_SECONDS)
        return min(looks, default=None)

    def _until_tick(self) -> float:
        """All live canaries are due at the same instants, so that they share what they read."""
        return self.tick_seconds - self.clock.monotonic() % self.tick_seconds


def _log(key: Key, plan: Plan, acted: Acted) -> None:
    """One line per transition; a pass that changed nothing is silent."""
    if acted.end is End.DONE and not plan.actions:
        return
    fields: dict[str, Any] = {
        "key": str(key),
        "rules": list(plan.rules),
        "actions": [type(action).__name__ for action in plan.actions],
        "end": acted.end.value,
    }
    if acted.message:
        fields["error"] = acted.message
    level = logging.INFO if acted.end in (End.DONE, End.CONFLICT) else logging.WARNING
    log.log(level, "pass", extra=fields)

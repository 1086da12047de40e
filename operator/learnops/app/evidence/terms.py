"""Which terms runs report, read now and then for all doers in one query.

Nobody waits for it: a pass takes what was read last. A doer is looked at again only where its
reading says something else than before, so that an idle one costs nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from learnops.app.cache import ObjectCache
from learnops.app.workers import Wait, wait_for
from learnops.domain.crl.defaults import MIN_RUNS, WINDOW_RUNS, bands
from learnops.domain.observed import Key, TermsReading
from learnops.domain.unavailable import ErrorReason, Unavailable
from learnops.ports.runlog import RunLogUnavailableError
from learnops.ports.terms import Reported, TermLog, Watched

log = logging.getLogger(__name__)
# One that is away for a moment is no news: each doer's condition would be written twice.
_AWAY_READS = 3


@dataclass(frozen=True, kw_only=True)
class _Known:
    reading: TermsReading
    until: datetime | None  # None: there was no run


@dataclass(kw_only=True)
class TermsWatch:
    """The last reading of each doer. `add_after` asks for a look at one in some seconds."""

    log: TermLog
    cache: ObjectCache
    add_after: Callable[[Key, float], None]
    chance: Callable[[], float]
    period_seconds: float = 60.0
    wait: Wait = wait_for
    _known: dict[Key, _Known] = field(default_factory=dict)
    _away: int = 0
    _why: str = ""

    def reading(self, key: Key) -> TermsReading | Unavailable | None:
        """As of the last look; None: it was not looked at yet."""
        if self._away >= _AWAY_READS:
            reason = ErrorReason.RUN_LOG_UNAVAILABLE
            return Unavailable(reason=reason, message=f"run log: {self._why}")
        known = self._known.get(key)
        return None if known is None else known.reading

    async def run(self) -> None:
        """Read for ever."""
        never = asyncio.Event()
        while True:
            await self.once()
            await self.wait(never, self.period_seconds)

    async def once(self) -> None:
        """Read of all doers that have an active policy."""
        watched = self._watched()
        self._known = {it.key: self._known[it.key] for it in watched if it.key in self._known}
        if not watched:
            return
        try:
            found = await self.log.reported_terms(watched=watched, runs=WINDOW_RUNS)
        except RunLogUnavailableError as error:
            self._lost(str(error), watched)
            return
        was_away, self._away = self._away >= _AWAY_READS, 0
        told = {one.key: one for one in found}
        for asked in watched:
            self._take(asked, told.get(asked.key))
        if was_away:
            self._look_at_all(watched)

    def _watched(self) -> list[Watched]:
        found = []
        for key in self.cache.keys():  # noqa: SIM118 - not a dict
            doer = self.cache.get(kind="Doer", namespace=key.namespace, name=key.doer)
            policy = _active(doer)
            if policy is not None:
                known = self._known.get(key)
                same = known is not None and known.reading.policy == policy
                since = known.until if known is not None and same else None
                found.append(Watched(key=key, policy=policy, since=since))
        return found

    def _take(self, asked: Watched, one: Reported | None) -> None:
        if one is not None:
            reading = TermsReading(policy=one.policy, runs=one.runs, reported=one.reported)
            self._know(asked.key, _Known(reading=reading, until=one.until))
        elif asked.since is None:  # else nothing came since
            reading = TermsReading(policy=asked.policy, runs=0, reported={})
            self._know(asked.key, _Known(reading=reading, until=None))

    def _know(self, key: Key, known: _Known) -> None:
        before = self._known.get(key)
        self._known[key] = known
        if before is None or _news(before.reading) != _news(known.reading):
            self.add_after(key, 0.0)

    def _lost(self, why: str, watched: Sequence[Watched]) -> None:
        self._away, self._why = self._away + 1, why
        if self._away == _AWAY_READS:
            log.warning("terms not read", extra={"error": why})
            self._look_at_all(watched)

    def _look_at_all(self, watched: Sequence[Watched]) -> None:
        """Spread, so that hundreds of doers are not one burst."""
        for one in watched:
            self.add_after(one.key, self.chance() * self.period_seconds)


def _active(doer: Mapping[str, Any] | None) -> str | None:
    status = {} if doer is None else doer.get("status", {})
    found: str | None = status.get("activePolicy")
    return found


def _news(reading: TermsReading) -> object:
    """What a rule could decide otherwise for."""
    if reading.runs < MIN_RUNS:
        return reading.policy, reading.runs  # a canary may wait for them, and tell of it
    return reading.policy, bands(runs=reading.runs, reported=reading.reported)

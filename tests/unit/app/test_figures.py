"""When the figures of a live canary are asked for again."""

import asyncio

import pytest

from learnops.app.evidence.figures import EVERY_SECONDS, CanaryFigures
from learnops.ports.figures import FiguresUnavailableError, PairRows
from tests.unit.app.fakes import FakeClock
from tests.unit.app.models import KEY, canary


class Source:
    """A run log that is away at first."""

    def __init__(self):
        self.away, self.asked = True, 0

    async def runs_per_day(self, *, key):
        return 100.0

    async def pairs(self, *, key, rollout, candidate, after, limit):
        self.asked += 1
        if self.away:
            raise FiguresUnavailableError("away")
        return PairRows(sums=(), until=after, more=False)


class Passes:
    """Passes over a canary that has no runs yet."""

    def __init__(self, source):
        self.clock, self.canary = FakeClock(), canary(source="RunLog")
        self.figures = CanaryFigures(source=source, clock=self.clock, state_of=lambda *_: None)

    async def after(self, seconds):
        """A pass so much later, and the look that it begins to its end; what it is told."""
        self.clock.advance(seconds)
        told = self.figures.of(KEY, self.canary, "v2", runs=0)
        await asyncio.gather(*(it for it in asyncio.all_tasks() if it.get_name() == "figures"))
        return told


@pytest.fixture
def source():
    return Source()


async def test_a_look_that_failed_is_tried_again_soon_also_before_the_first_run(source):
    passes = Passes(source)
    await passes.after(0)
    await passes.after(9)
    assert source.asked == 1
    await passes.after(1)
    assert source.asked == 2
    source.away = False
    await passes.after(10)
    assert (await passes.after(0)).runs_per_day == 100.0
    assert source.asked == 3


async def test_one_that_found_nothing_to_foresee_is_not(source):
    source.away = False
    passes = Passes(source)
    await passes.after(0)
    await passes.after(EVERY_SECONDS - 1)
    assert source.asked == 1
    await passes.after(1)
    assert source.asked == 2

"""All who ask for counters in one tick share one query."""

import asyncio

from learnops.app.evidence.counters import CounterTick
from tests.unit.app.counters import Answers, answers
from tests.unit.app.fakes import FakeClock

__all__ = ["answers"]  # fixtures


async def test_all_who_ask_in_one_tick_share_one_query(answers: Answers) -> None:
    clock = FakeClock()
    tick = CounterTick(metrics=answers, clock=clock, max_age_seconds=0.5)
    await asyncio.gather(*(tick.samples() for _ in range(50)))
    assert answers.questions == 1
    clock.advance(0.4)
    await tick.samples()
    assert answers.questions == 1
    clock.advance(0.2)
    await tick.samples()
    assert answers.questions == 2


async def test_an_answer_is_not_shared_until_it_is_stale(answers: Answers) -> None:
    clock = FakeClock()
    tick = CounterTick(metrics=answers, clock=clock, max_age_seconds=1800)
    await tick.samples()
    clock.advance(6)
    await tick.samples()
    assert answers.questions == 2


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(
    answers: Answers,
) -> None:
    tick = CounterTick(metrics=answers, clock=FakeClock(), max_age_seconds=0.5)
    impatient = asyncio.create_task(tick.samples())
    patient = asyncio.create_task(tick.samples())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == []
    assert answers.questions == 1

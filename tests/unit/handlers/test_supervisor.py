"""The supervisor: restarts the watch, and gives up when that goes on."""

import logging

import pytest

from learnops.handlers.supervisor import GaveUpError, Supervisor
from learnops.handlers.watch import EndlessDelays
from tests.unit.app.fakes import FakeClock


class EnoughError(Exception):
    """Ends a supervisor that would go on for ever."""


def supervised(
    clock: FakeClock, *, lasts: float, chance: float = 0.0
) -> tuple[Supervisor, list[float]]:
    pauses: list[float] = []

    async def session() -> BaseException | None:
        clock.advance(lasts)
        return RuntimeError("watch fault")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds)
        if len(pauses) == 50:
            raise EnoughError

    made = Supervisor(
        session=session,
        clock=clock,
        sleep=sleep,
        chance=lambda: chance,
        most=5,
        window_seconds=600.0,
    )
    return made, pauses


async def test_it_gives_up_when_the_watch_ends_too_often() -> None:
    supervisor, pauses = supervised(FakeClock(), lasts=1.0)
    with pytest.raises(GaveUpError, match="6 times in 600 s"):
        await supervisor.run()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]


async def test_it_goes_on_for_ever_when_the_ends_are_far_apart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor, pauses = supervised(FakeClock(), lasts=200.0)
    with caplog.at_level(logging.ERROR), pytest.raises(EnoughError):
        await supervisor.run()
    assert len(pauses) == 50
    assert max(pauses) <= 4.0, "back-off counts the ends within the window only"
    assert "watch fault" in caplog.text


async def test_jitter_takes_away_at_most_half() -> None:
    supervisor, pauses = supervised(FakeClock(), lasts=1.0, chance=0.999)
    with pytest.raises(GaveUpError):
        await supervisor.run()
    whole = (0.5, 1.0, 2.0, 4.0, 8.0)
    assert all(a / 2 < pause < a for pause, a in zip(pauses, whole, strict=True))


def test_kopf_never_runs_out_of_patience() -> None:
    delays = iter(EndlessDelays(chance=lambda: 0.0))
    first = [next(delays) for _ in range(500)]
    assert first[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(first) == first[-1] == 30.0

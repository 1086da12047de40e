"""The time to live counts from the renewals this process saw, not from other machines' clocks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from learnops.server.heartbeat import Heartbeat

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.skew = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed + self.skew)

    def monotonic(self) -> float:
        return 1000.0 + self.passed


def lease(*, renewed: datetime | str | None, holder: str = "operator-1") -> dict[str, Any]:
    text = renewed.isoformat() if isinstance(renewed, datetime) else renewed
    return {"spec": {"holderIdentity": holder, "renewTime": text}}


def test_it_falls_from_the_last_seen_renewal_and_ends_at_zero() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    assert heartbeat.remaining() == 0
    heartbeat.put(lease(renewed=START))
    clock.passed = 100
    assert heartbeat.remaining() == 200
    heartbeat.put(lease(renewed=START))  # the same record again is no renewal
    assert heartbeat.remaining() == 200
    heartbeat.put(lease(renewed=START + timedelta(seconds=100)))
    assert heartbeat.remaining() == 300
    clock.passed = 1000
    assert heartbeat.remaining() == 0


@pytest.mark.parametrize(
    ("renewed", "left"),
    [
        (START - timedelta(seconds=40), 260),
        (START + timedelta(days=1), 300),  # another clock is ahead
        (START - timedelta(days=1), 0),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_at_first_sight_the_age_is_clamped(renewed: datetime | str | None, left: float) -> None:
    heartbeat = Heartbeat(clock=Clock(), ttl_seconds=300)
    heartbeat.replace([lease(renewed=renewed)])
    assert heartbeat.remaining() == left


def test_a_jump_of_the_wall_clock_changes_nothing() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    heartbeat.put(lease(renewed=START))
    clock.skew = -86_400
    heartbeat.put(lease(renewed=START + timedelta(seconds=2)))
    assert heartbeat.remaining() == 300


@pytest.mark.parametrize("skew", [0, -86_400, 86_400])
def test_a_renewal_that_is_delivered_late_is_as_old_as_it_is(skew: float) -> None:
    """The api was cut off from the API server; the operator renewed once more and then died."""
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    there = START - timedelta(seconds=skew)  # the operator's clock
    heartbeat.put(lease(renewed=there))
    for passed in (10, 20):
        clock.passed = passed
        heartbeat.put(lease(renewed=there + timedelta(seconds=passed)))
    assert heartbeat.remaining() == 300
    clock.passed = 220
    heartbeat.put(lease(renewed=there + timedelta(seconds=30)))
    assert heartbeat.remaining() == pytest.approx(110, abs=0.5)
    # Nothing is held against the operator once it renews again.
    clock.passed = 230
    heartbeat.put(lease(renewed=there + timedelta(seconds=230)))
    assert heartbeat.remaining() == 300


def test_a_replay_of_what_was_missed_ends_at_the_last_of_it() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    heartbeat.put(lease(renewed=START))
    clock.passed = 200
    for passed in range(10, 160, 10):
        heartbeat.put(lease(renewed=START + timedelta(seconds=passed)))
    assert heartbeat.remaining() == pytest.approx(250, abs=0.5)


def test_an_old_record_renews_nothing_and_a_clock_set_back_harms_one_renewal() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    heartbeat.put(lease(renewed=START))
    clock.passed = 10
    heartbeat.put(lease(renewed=START - timedelta(hours=1)))
    assert heartbeat.remaining() == 290
    clock.passed = 20
    heartbeat.put(lease(renewed=START - timedelta(hours=1) + timedelta(seconds=10)))
    assert heartbeat.remaining() == 300


def test_another_holder_is_measured_by_its_own_clock() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    heartbeat.put(lease(renewed=START))
    clock.passed = 40
    ahead = START + timedelta(days=1)
    heartbeat.put(lease(renewed=START + timedelta(seconds=15), holder="operator-2"))
    assert heartbeat.remaining() == 275
    clock.passed = 50
    heartbeat.put(lease(renewed=ahead, holder="operator-3"))
    assert heartbeat.remaining() == 300
    clock.passed = 150
    heartbeat.put(lease(renewed=ahead + timedelta(seconds=10), holder="operator-3"))
    assert heartbeat.remaining() == pytest.approx(210, abs=0.5)


def test_a_released_or_deleted_lease_renews_nothing() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    heartbeat.put(lease(renewed=START))
    clock.passed = 10
    heartbeat.put(lease(renewed=START + timedelta(seconds=10), holder=""))
    heartbeat.drop(lease(renewed=START))
    heartbeat.replace([])
    assert heartbeat.remaining() == 290


def test_without_a_ttl_nothing_runs_out() -> None:
    assert Heartbeat(clock=Clock(), ttl_seconds=None).remaining() is None

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
    heartbeat.put(lease(renewed=START + timedelta(seconds=1)))
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


def test_a_released_or_deleted_lease_renews_nothing() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock=clock, ttl_seconds=300)
    heartbeat.put(lease(renewed=START))
    clock.passed = 10
    heartbeat.put(lease(renewed=START + timedelta(seconds=10), holder=""))
    heartbeat.drop(lease(renewed=START))
    heartbeat.replace([])
    assert heartbeat.remaining() == 290


def test_turned_off() -> None:
    assert Heartbeat(clock=Clock(), ttl_seconds=None).remaining() is None

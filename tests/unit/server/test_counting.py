"""Each run is counted once, whatever was heard of the commit that stored it."""

from datetime import datetime, timedelta

import pytest

from learnops.server.counting import Counted
from tests.unit.app.fakes import FakeClock

A, B = ("agents", "a"), ("agents", "b")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def counted(clock: FakeClock) -> Counted:
    return Counted(clock=clock)


def lose_the_answer(counted: Counted, *keys: tuple[str, str]) -> None:
    with pytest.raises(ConnectionError), counted.attempt(keys):
        raise ConnectionError


def stored(*keys: tuple[str, str], at: datetime) -> dict[tuple[str, str], datetime]:
    return dict.fromkeys(keys, at)


def test_what_was_added_counts_and_its_repetition_does_not(
    counted: Counted, clock: FakeClock
) -> None:
    with counted.attempt([A]):
        pass
    assert counted.now(added={A}, known={}) == {A}
    assert counted.now(added=set(), known=stored(A, at=clock.now())) == set()


def test_what_is_found_stored_after_an_answer_that_never_came_counts_once(
    counted: Counted, clock: FakeClock
) -> None:
    lose_the_answer(counted, A, B)
    assert counted.now(added={B}, known=stored(A, at=clock.now())) == {A, B}
    assert counted.now(added=set(), known=stored(A, B, at=clock.now())) == set()


def test_what_was_stored_before_the_attempt_was_counted_by_whoever_stored_it(
    counted: Counted, clock: FakeClock
) -> None:
    lose_the_answer(counted, A, B)
    skewed = clock.now() - timedelta(seconds=4)  # as the database's clock is behind ours
    known = {A: clock.now() - timedelta(seconds=6), B: skewed}
    assert counted.now(added=set(), known=known) == {B}


def test_the_first_attempt_in_doubt_is_the_one_that_tells(
    counted: Counted, clock: FakeClock
) -> None:
    lose_the_answer(counted, A)
    committed = clock.now()
    clock.advance(60)
    lose_the_answer(counted, A)
    assert counted.now(added=set(), known=stored(A, at=committed)) == {A}


def test_a_repetition_that_was_not_answered_is_not_counted_again(
    counted: Counted, clock: FakeClock
) -> None:
    counted.now(added={A}, known={})
    lose_the_answer(counted, A)
    assert counted.now(added=set(), known=stored(A, at=clock.now())) == set()


def test_what_another_process_stored_is_not_ours_to_count(
    counted: Counted, clock: FakeClock
) -> None:
    assert counted.now(added=set(), known=stored(A, at=clock.now())) == set()


def test_memory_is_bounded(clock: FakeClock) -> None:
    counted = Counted(clock=clock, remembered=1)
    lose_the_answer(counted, A, B)
    assert counted.now(added=set(), known=stored(A, B, at=clock.now())) == {B}

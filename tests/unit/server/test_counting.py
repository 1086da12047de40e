"""Each run is counted once, whatever was heard of the commit that stored it."""

import pytest

from learnops.server.counting import Counted

A, B = ("agents", "a"), ("agents", "b")


def lose_the_answer(counted: Counted, *keys: tuple[str, str]) -> None:
    with pytest.raises(ConnectionError), counted.attempt(keys):
        raise ConnectionError


def test_what_was_added_counts_and_its_repetition_does_not() -> None:
    counted = Counted()
    with counted.attempt([A]):
        pass
    assert counted.now(added={A}, known=[]) == {A}
    assert counted.now(added=set(), known=[A]) == set()


def test_what_is_found_stored_after_an_answer_that_never_came_counts_once() -> None:
    counted = Counted()
    lose_the_answer(counted, A, B)
    assert counted.now(added={B}, known=[A]) == {A, B}
    assert counted.now(added=set(), known=[A, B]) == set()


def test_a_repetition_that_was_not_answered_is_not_counted_again() -> None:
    counted = Counted()
    counted.now(added={A}, known=[])
    lose_the_answer(counted, A)
    assert counted.now(added=set(), known=[A]) == set()


def test_what_another_process_stored_is_not_ours_to_count() -> None:
    assert Counted().now(added=set(), known=[A]) == set()


def test_memory_is_bounded() -> None:
    counted = Counted(remembered=1)
    lose_the_answer(counted, A, B)
    assert counted.now(added=set(), known=[A, B]) == {B}

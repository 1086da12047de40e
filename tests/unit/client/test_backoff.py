"""The next wait grows, has jitter, and is never what a header alone decides."""

from hypothesis import given
from hypothesis import strategies as st

from learnops.client.backoff import MAX_RETRY_AFTER_SECONDS, Backoff


def test_it_doubles_up_to_the_most_and_begins_anew_after_a_success() -> None:
    backoff = Backoff(first_seconds=1.0, most_seconds=4.0)
    for step in (1.0, 2.0, 4.0, 4.0):
        assert step / 2 <= backoff.seconds() <= step
    backoff.reset()
    assert backoff.seconds() <= 1.0


@given(asked=st.floats(min_value=0.0, max_value=MAX_RETRY_AFTER_SECONDS))
def test_nobody_comes_back_sooner_than_asked_nor_much_later(asked: float) -> None:
    waited = Backoff().seconds(retry_after=asked)
    assert asked <= waited <= max(asked * 1.25, asked + 0.1)


@given(asked=st.floats(min_value=MAX_RETRY_AFTER_SECONDS, allow_nan=False))
def test_no_header_switches_reporting_off(asked: float) -> None:
    waited = Backoff().seconds(retry_after=asked)
    assert MAX_RETRY_AFTER_SECONDS <= waited <= MAX_RETRY_AFTER_SECONDS * 1.25


@given(asked=st.floats(max_value=0.0, allow_nan=False))
def test_a_time_that_is_over_is_no_reason_to_hurry(asked: float) -> None:
    assert Backoff(first_seconds=0.1).seconds(retry_after=asked) >= 0.05

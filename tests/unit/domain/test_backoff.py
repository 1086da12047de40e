"""Each wait is twice as long as the one before, up to a bound, less up to half of it at random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.domain.backoff import Delays

DELAYS = Delays(first_seconds=1.0, most_seconds=5.0)


def test_waits_double_up_to_the_bound() -> None:
    waits = [DELAYS.after(failures, chance=0.0) for failures in range(1, 6)]
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_what_failed_for_weeks_still_waits_for_a_number_of_seconds() -> None:
    assert DELAYS.after(1_000_000, chance=0.0) == 5.0


@given(st.integers(1, 40), st.floats(0.0, 1.0, exclude_max=True))
def test_jitter_takes_away_at_most_half(failures: int, chance: float) -> None:
    full = DELAYS.after(failures, chance=0.0)
    assert full / 2 <= DELAYS.after(failures, chance=chance) <= full


def test_jitter_is_in_proportion_to_chance() -> None:
    assert DELAYS.after(2, chance=0.5) == pytest.approx(1.5)

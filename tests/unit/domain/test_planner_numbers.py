"""Figures in sentences."""

from math import log

import pytest

from learnops.domain.observed import EValue
from learnops.domain.planner.numbers import e_value_short


@pytest.mark.parametrize(
    ("e", "crossed_at", "told"),
    [
        (3.14159, None, "3.1"),
        (24.7, 140, "25"),
        (15.38, 140, "15, had reached 20 at run 140"),
        (0.5, 20, "0.5, had reached 20 at run 20"),
    ],
)
def test_a_crossing_that_the_e_value_fell_from_is_told(e, crossed_at, told):
    assert e_value_short(EValue(log_e=log(e), threshold=20.0, crossed_at=crossed_at)) == told

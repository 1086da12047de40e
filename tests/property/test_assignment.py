"""Laws of the draw: stable, uniform, independent between salts, and only ever widening."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.domain.assignment import Arm, draw, position

TEXT = st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16
)  # 16 characters are at most 64 bytes
PERCENT = st.floats(0.0, 100.0)


@given(salt=TEXT, unit=TEXT, low=PERCENT, high=PERCENT)
def test_a_raised_share_only_widens_the_candidates_region(salt, unit, low, high):
    low, high = sorted((low, high))
    if draw(salt, unit, low) is Arm.CANDIDATE:
        assert draw(salt, unit, high) is Arm.CANDIDATE


@given(salt=TEXT, unit=TEXT)
def test_nobody_at_zero_and_everybody_at_a_hundred(salt, unit):
    assert draw(salt, unit, 0.0) is Arm.CONTROL
    assert draw(salt, unit, 100.0) is Arm.CANDIDATE
    assert 0.0 <= position(salt, unit) < 1.0


def test_positions_are_uniform():
    """Chi-square over 100 cells; 148.2 is the 99.9 % point with 99 degrees of freedom."""
    counts = [0] * 100
    for index in range(100_000):
        counts[int(position("uid.0", f"run-{index}") * 100)] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 148.2


def test_two_salts_split_independently():
    """Of the units in one canary's half, half are in the other's (5 sigma)."""
    both = sum(
        draw("uid.0", f"run-{index}", 50) is draw("uid.1", f"run-{index}", 50)
        for index in range(20_000)
    )
    assert abs(both - 10_000) < 5 * 20_000**0.5 / 2


def test_the_same_in_another_process_that_stays_light():
    """PYTHONHASHSEED differs between processes; the draw must not. And no numpy for an agent."""
    program = (
        "import sys; from learnops.domain.assignment import position; "
        "print(repr(position('uid.0', 'run-7')), 'numpy' in sys.modules, 'pydantic' in sys.modules)"
    )
    for seed in ("1", "2"):
        answer = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert answer == [repr(position("uid.0", "run-7")), "False", "False"]


@pytest.mark.parametrize(
    ("salt", "unit", "percent", "message"),
    [
        ("", "run", 10, "salt has 0 bytes; use 1 to 64"),
        ("s" * 65, "run", 10, "salt has 65 bytes; use 1 to 64"),
        ("s", "", 10, "unit_id has 0 bytes; use 1 to 1024"),
        ("s", "\ud800", 10, "unit_id is not valid Unicode text"),
        ("s", "run", -1, "candidate_percent is -1; use 0 to 100"),
        ("s", "run", 100.1, "candidate_percent is 100.1; use 0 to 100"),
        ("s", "run", float("nan"), "candidate_percent is nan; use 0 to 100"),
    ],
)
def test_bad_input_is_named(salt, unit, percent, message):
    with pytest.raises(ValueError, match="^" + message + "$"):
        draw(salt, unit, percent)

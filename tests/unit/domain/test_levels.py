"""Levels and margins that do not depend on data."""

import pytest

from learnops.domain.evidence.levels import promotion_level, ramp_margin
from learnops.domain.evidence.types import TestPlan as Plan  # pytest would collect a Test* class


def test_the_first_attempt_pays_too_and_all_attempts_stay_within_the_level():
    assert promotion_level(0.05, 1) == pytest.approx(0.030395)
    total = sum(promotion_level(0.05, attempt) for attempt in range(1, 100_000))
    assert 0.0499 < total <= 0.05


@pytest.mark.parametrize(
    ("share", "margin"),
    [(1.0, 0.10), (5.0, 0.10), (10.0, 0.07), (25.0, 0.04), (40.0, 0.04)],
)
def test_margins_at_and_beyond_the_named_shares(share, margin):
    assert ramp_margin(share) == pytest.approx(margin, abs=1e-12)


def test_between_two_shares_the_margin_is_linear_in_the_log():
    assert ramp_margin(50**0.5) == pytest.approx(0.085, abs=1e-12)
    assert ramp_margin(250**0.5) == pytest.approx(0.055, abs=1e-12)
    margins = [ramp_margin(share / 10) for share in range(10, 990)]
    assert margins == sorted(margins, reverse=True)


def test_an_absent_tolerance_equals_the_margin():
    common = {"promote_level": 0.05, "rollback_level": 0.05, "margin": 0.02, "attempt": 1}
    assert Plan.for_canary(tolerance=None, **common).tolerance == 0.02
    assert Plan.for_canary(tolerance=0.0, **common).tolerance == 0.0

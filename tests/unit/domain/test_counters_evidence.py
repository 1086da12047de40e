"""What evidence from counters says: seldom wrong, never more than its single runs would."""

import numpy as np
import pytest

from learnops.domain.assignment import Arm
from learnops.domain.evidence import anytime, betting, counters
from learnops.domain.evidence.counters import ArmSums, CounterIncrement
from tests.unit.domain.counted import HALF, sample
from tests.unit.domain.simulate import (
    PLAN,
    TWO_TESTS,
    counter_crossings,
    crossings,
    increments,
    observations,
)


def test_worthless_candidates_are_rarely_called_by_a_pair_of_prometheus():
    """One of the two is some runs behind, and every other look is at that one."""
    rng, called = np.random.default_rng(31), 0
    for _ in range(60):
        state = counters.start(PLAN, first_revision=1)
        drawn, loss = rng.random(400) < 0.5, rng.beta(2.5, 5.8, 400)
        for look, runs in enumerate(range(20, 400, 10)):
            seen = runs - 8 * (look % 2)
            state = counters.observe(state, _exposed(drawn[:seen], loss[:seen]), propensities=HALF)
        assert state.evidence().runs == 382  # the last look, at the one that is behind
        called += state.evidence().promote.crossed or state.evidence().rollback.crossed
    assert called <= 6


def _exposed(drawn, loss):
    parts = ((Arm.CANDIDATE, loss[drawn]), (Arm.CONTROL, loss[~drawn]))
    return [sample(len(one), one.sum(), (one * one).sum(), arm=arm) for arm, one in parts]


def test_the_bound_lies_below_the_factor_it_replaces():
    y = np.linspace(-1.0, 200.0, 4001)[:, None]
    bound = betting.FRACTIONS * y + counters.CURVATURE * y * y
    assert (np.log1p(betting.FRACTIONS * y) - bound).min() >= -1e-12


@pytest.mark.parametrize("difference", [-0.2, 0.0, 0.3])
def test_an_increment_never_says_more_than_its_single_runs(difference):
    """Against the exact products of the same runs with the same m, b and fixed fractions."""
    observed = observations(
        np.random.default_rng(1), runs=60, propensity=0.3, difference=difference
    )
    (increment,) = increments(observed, every=60)
    fresh = counters.start(PLAN, first_revision=1)
    logs = counters.absorb(fresh, increment).logs
    pi, m = np.array([0.3]), np.array([0.5])
    tests = betting.Tests.of(PLAN)
    b = betting.bounds(tests, m=m, propensity=pi, other=1 - pi)
    centred = observed.loss - 0.5
    g = betting.payoffs(tests, np.where(observed.is_candidate, centred / 0.3, -centred / 0.7))
    exact = np.log1p(betting.FRACTIONS[:, None, None] * (g / b)).sum(axis=-1)
    assert (logs <= exact + 1e-9).all()


def test_both_methods_answer_in_the_same_form():
    observed = observations(np.random.default_rng(3), runs=50, propensity=0.5)
    log = anytime.advance(anytime.start(PLAN), observed)
    counted = counters.start(PLAN, first_revision=1)
    for part in increments(observed, every=10):
        counted = counters.absorb(counted, part)
    one, other = log.evidence(), counted.evidence()
    for name in ("runs", "candidate_runs", "control_runs", "blocks", "watermark"):
        assert getattr(one, name) == getattr(other, name)
    assert one.candidate_loss == pytest.approx(other.candidate_loss)
    assert one.promote.log_threshold == other.promote.log_threshold
    assert one.ramp.keys() == other.ramp.keys()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_worthless_candidates_are_rarely_called(share):
    promoted, rolled = counter_crossings(
        np.random.default_rng(21), canaries=200, runs=1500, propensity=share
    )
    error = 2 * np.sqrt(0.05 * 0.95 / 200)
    assert np.isfinite(promoted).mean() <= 0.05 + error
    assert np.isfinite(rolled).mean() <= 0.05 + error


def test_it_needs_about_twice_the_runs_of_the_run_log():
    scenario = {"canaries": 60, "runs": 3000, "propensity": 0.5, "difference": -0.05}
    exact, _, _ = crossings(np.random.default_rng(22), **scenario)
    counted, _ = counter_crossings(np.random.default_rng(22), **scenario)
    assert np.isfinite(counted).mean() >= 0.95
    assert 1.2 <= np.median(counted) / np.median(exact) <= 3.5


def test_a_bad_candidate_is_rolled_back_from_counters_alone():
    _, rolled = counter_crossings(
        np.random.default_rng(23), canaries=60, runs=1500, propensity=0.1, difference=0.2
    )
    assert np.isfinite(rolled).all()
    assert np.median(rolled) <= 600


def test_an_empty_increment_changes_nothing():
    state = counters.start(TWO_TESTS, first_revision=1)
    nothing = ArmSums(n=0, s=0.0, q=0.0)
    increment = CounterIncrement(revision=1, propensity=0.5, candidate=nothing, control=nothing)
    assert counters.absorb(state, increment).to_dict() == state.to_dict()

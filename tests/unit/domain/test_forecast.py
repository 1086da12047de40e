"""The forecast is what the engine does: the same calls, the same runs, the same for one seed."""

import numpy as np
import pytest

from learnops.domain.evidence import forecast
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.errors import EvidenceError
from learnops.domain.evidence.ruling import Limits
from tests.unit.domain.simulate import PLAN, crossings

PLAIN = evidence_types.TestPlan()
LIMITS = Limits(min_candidate_runs=1, max_runs=3_000)
HALF = forecast.Ramp(steps=(50.0,), runs_a_step=0)


def truth(difference):
    return forecast.Truth(mean=0.30, deviation=0.15, difference=difference)


def told(difference, *, plan=PLAIN, limits=LIMITS, ramp=HALF, canaries=60, seed=1):
    return forecast.forecast(plan, limits, truth(difference), ramp, canaries=canaries, seed=seed)


def test_it_says_what_the_engine_takes_at_a_constant_share():
    found = told(-0.05)
    promoted, _, _ = crossings(
        np.random.default_rng(2), canaries=100, runs=3000, propensity=0.5, difference=-0.05
    )
    assert found.promoted >= 0.98
    # One is looked at every 50 runs and has another beta for the candidate.
    assert found.runs[0] == pytest.approx(np.median(promoted), rel=0.3)


def test_worse_is_rolled_back_and_nothing_is_promoted():
    found = told(0.1)
    assert (found.rolled_back, found.promoted) == (1.0, 0.0)
    assert found.runs[0] <= found.runs[1]


def test_no_difference_is_mostly_undecided_and_costs_all_runs():
    found = told(0.0, canaries=40)
    assert found.undecided >= 0.85
    assert found.runs == (3_000.0, 3_000.0)


def test_futility_ends_what_is_not_worth_waiting_for():
    plan = evidence_types.TestPlan(futility=evidence_types.FutilityTest(min_improvement=0.05))
    assert told(0.0, plan=plan, canaries=40).futile >= 0.9


def test_a_ramp_shows_few_runs_of_a_bad_candidate():
    ramp = forecast.Ramp(steps=(5.0, 10.0, 25.0, 50.0), runs_a_step=0)
    steep, ramped = told(0.1, canaries=40), told(0.1, plan=PLAN, ramp=ramp, canaries=40)
    assert ramped.candidate_runs[0] < steep.candidate_runs[0] / 2
    assert told(-0.1, plan=PLAN, ramp=ramp, canaries=40).promoted >= 0.95


def test_a_step_is_kept_for_its_runs():
    short = forecast.Ramp(steps=(5.0, 50.0), runs_a_step=0)
    long = forecast.Ramp(steps=(5.0, 50.0), runs_a_step=1_000)
    few, many = (told(-0.05, ramp=it, canaries=40).runs[0] for it in (short, long))
    assert many > few


def test_the_same_seed_says_the_same():
    assert told(-0.05, canaries=10) == told(-0.05, canaries=10)
    assert told(-0.05, canaries=10) != told(-0.05, canaries=10, seed=2)


def test_what_is_played_has_the_assumed_mean_and_deviation():
    rng = np.random.default_rng(3)
    candidate = rng.random(200_000) < 0.5
    losses = truth(0.1).losses(rng, candidate)
    for arm, mean in ((candidate, 0.4), (~candidate, 0.3)):
        assert losses[arm].mean() == pytest.approx(mean, abs=0.003)
        assert losses[arm].std() == pytest.approx(0.15, abs=0.003)


@pytest.mark.parametrize(
    ("mean", "deviation", "difference", "message"),
    [
        (1.2, 0.1, 0.0, "mean is 1.2; a mean loss lies between 0 and 1"),
        (0.1, 0.1, -0.2, r"mean \+ difference is -0.1"),
        (0.3, 0.0, 0.0, "deviation is 0; losses with mean 0.3 have one above 0 and below 0.458"),
        (0.3, 0.5, 0.0, "deviation is 0.5"),
        (0.3, float("nan"), 0.0, "deviation is nan"),
    ],
)
def test_a_truth_that_no_losses_have_is_refused(mean, deviation, difference, message):
    with pytest.raises(EvidenceError, match=message):
        forecast.Truth(mean=mean, deviation=deviation, difference=difference)

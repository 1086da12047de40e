"""The rest of a canary, played from where it stands."""

import numpy as np
import pytest

from learnops.domain.evidence import anytime, counters, forecast
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.pairs import Pairs
from learnops.domain.evidence.remaining import ASSUMED, remaining, truth_so_far
from learnops.domain.evidence.ruling import Limits
from tests.unit.domain.test_pairs import pairs_of

LIMITS = Limits(min_candidate_runs=20, max_runs=5_000)
RAMP = forecast.Ramp(steps=(5.0, 10.0, 25.0, 50.0), runs_a_step=0)
HALF = forecast.Ramp(steps=(50.0,), runs_a_step=0)
PLAIN = evidence_types.TestPlan()
GATED = evidence_types.TestPlan.for_canary(
    promote_level=0.05,
    margin=0.0,
    rollback_level=0.05,
    tolerance=None,
    attempt=1,
    gated_shares=(5.0, 10.0, 25.0),
    interval=True,
)


def truth(difference):
    return forecast.Truth(mean=0.30, deviation=0.15, difference=difference)


def told(state, difference, *, ramp=HALF, step=0, limits=LIMITS, plays=25, seed=1):
    assumed = truth(difference)
    return remaining(state, assumed, limits=limits, ramp=ramp, step=step, plays=plays, seed=seed)


@pytest.mark.parametrize("difference", [-0.1, -0.05, 0.05, 0.1])
def test_from_the_start_it_says_what_the_forecast_of_whole_canaries_says(difference):
    whole = forecast.forecast(
        forecast.without_guardrails(GATED), LIMITS, truth(difference), RAMP, canaries=60, seed=2
    )
    found = told(anytime.start(GATED), difference, ramp=RAMP)
    assert found.runs == pytest.approx(whole.runs[0], rel=0.3)
    assert found.decided == 1.0


def played(state, *, runs, difference, seed=4):
    rng = np.random.default_rng(seed)
    return anytime.advance(
        state, forecast.draw(rng, truth(difference), share=0.5, after=state.watermark, runs=runs)
    )


def test_what_the_e_values_have_reached_counts():
    fresh = anytime.start(evidence_types.TestPlan(interval=True))
    ahead = played(fresh, runs=250, difference=-0.07)
    assert ahead.evidence().promote.log_e > 1.0
    assert not ahead.evidence().promote.crossed
    assert told(ahead, -0.05).runs < 0.7 * told(fresh, -0.05).runs


def test_a_test_that_has_decided_needs_no_more_runs():
    decided = played(anytime.start(PLAIN), runs=600, difference=-0.2)
    assert decided.evidence().promote.crossed
    assert told(decided, -0.2).runs == 0


def test_promotion_waits_for_the_candidate_runs_that_are_asked_for():
    limits = Limits(min_candidate_runs=1_000, max_runs=5_000)
    assert told(anytime.start(PLAIN), -0.2, limits=limits).runs == pytest.approx(2_000, abs=50)


def test_no_difference_goes_on_to_the_end_and_says_that_no_verdict_is_likely():
    found = told(anytime.start(PLAIN), 0.0)
    assert found.runs == LIMITS.max_runs
    assert found.decided < 0.3


def test_nothing_is_needed_where_all_runs_are_spent():
    spent = played(anytime.start(PLAIN), runs=100, difference=0.0)
    found = told(spent, 0.0, limits=Limits(min_candidate_runs=1, max_runs=100))
    assert found.runs == 0


def test_runs_of_other_candidates_are_spent_too():
    rng = np.random.default_rng(3)
    news = forecast.draw(rng, truth_so_far(Pairs()), share=0.25, after=0, runs=600, others=1)
    spent = anytime.advance(anytime.start(PLAIN), news)
    assert spent.evidence().runs < 600
    limits = Limits(min_candidate_runs=1, max_runs=600)
    assert told(spent, 0.0, limits=limits).runs == 0


def test_futility_is_a_verdict_too():
    plan = evidence_types.TestPlan(futility=evidence_types.FutilityTest(min_improvement=0.1))
    found = told(anytime.start(plan), 0.0)
    assert found.decided == 1.0
    assert found.runs < 1_000


def test_guardrails_are_left_out_of_a_state_that_has_them():
    plan = evidence_types.TestPlan(
        guardrails=(evidence_types.GuardrailTest(term="grounding"),), interval=True
    )
    assert told(anytime.start(plan), -0.05) == told(anytime.start(PLAIN), -0.05)


def test_counters_take_about_twice_the_runs():
    once = told(anytime.start(PLAIN), -0.05).runs
    assert 1.4 * once < told(counters.start(PLAIN, first_revision=1), -0.05).runs < 3 * once


def test_few_runs_tell_nothing_and_the_assumption_stands():
    found = truth_so_far(Pairs())
    assert (found.mean, found.deviation) == (ASSUMED.mean, ASSUMED.deviation)
    assert found.difference == pytest.approx(ASSUMED.difference)
    assert truth_so_far(Pairs(), assumed_difference=0.0).difference == 0.0


def test_many_runs_tell_the_truth_and_some_are_mixed_with_the_assumption():
    rng = np.random.default_rng(6)
    theirs = np.clip(rng.normal(0.4, 0.1, 4_000), 0, 1)

    def found(runs):
        return truth_so_far(pairs_of(np.clip(rng.normal(0.6, 0.1, runs), 0, 1), theirs))

    assert found(4_000).difference == pytest.approx(0.2, abs=0.01)
    assert found(4_000).mean == pytest.approx(0.4, abs=0.01)
    assert found(4_000).deviation == pytest.approx(0.1, abs=0.01)
    assert found(20).difference == pytest.approx((0.2 - 0.05) / 2, abs=0.05)


@pytest.mark.parametrize(("mine", "theirs"), [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_losses_at_the_ends_still_give_a_truth_that_can_be_played(mine, theirs):
    found = truth_so_far(pairs_of([mine] * 50, [theirs] * 50))
    rest = remaining(anytime.start(PLAIN), found, limits=LIMITS, ramp=HALF, step=0, plays=3, seed=1)
    assert 0 <= rest.runs <= LIMITS.max_runs

"""FixedHorizon: nothing before the planned number of runs, one Welch test at it, nothing after."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learnops.domain.evidence import fixed_horizon
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.errors import EvidenceError
from tests.unit.domain.simulate import observations, rows

PLAN = evidence_types.TestPlan(horizon=1000)


def log(seed, *, runs=1000, difference=0.0, propensity=0.5, **more):
    rng = np.random.default_rng(seed)
    return observations(rng, runs=runs, propensity=propensity, difference=difference, **more)


def read(given, plan=PLAN):
    return fixed_horizon.advance(fixed_horizon.start(plan), given)


def arms(given):
    return given.loss[given.is_candidate], given.loss[~given.is_candidate]


def test_it_is_welchs_test_at_the_planned_number_of_runs():
    given_ = log(1, difference=-0.02)
    evidence = read(given_).evidence()
    better = stats.ttest_ind(*arms(given_), equal_var=False, alternative="less").pvalue
    worse = stats.ttest_ind(*arms(given_), equal_var=False, alternative="greater").pvalue
    assert evidence.p_values.promote == pytest.approx(better, rel=1e-9)
    assert evidence.p_values.rollback == pytest.approx(worse, rel=1e-9)
    assert evidence.promote.e_value == pytest.approx(1 / better, rel=1e-9)
    assert evidence.runs == 1000


def test_a_margin_shifts_the_null_hypothesis():
    given_ = log(2)
    plan = evidence_types.TestPlan(horizon=1000, margin=0.03, tolerance=0.01)
    candidate, control = arms(given_)
    found = read(given_, plan).evidence().p_values
    shifted = stats.ttest_ind(candidate - 0.03, control, equal_var=False, alternative="less")
    assert found.promote == pytest.approx(shifted.pvalue, rel=1e-9)
    worse = stats.ttest_ind(candidate - 0.01, control, equal_var=False, alternative="greater")
    assert found.rollback == pytest.approx(worse.pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("difference", "promoted", "rolled"), [(-0.1, True, False), (0.1, False, True)]
)
def test_a_clear_difference_is_called(difference, promoted, rolled):
    evidence = read(log(3, difference=difference)).evidence()
    assert (evidence.promote.crossed, evidence.rollback.crossed) == (promoted, rolled)
    assert (evidence.promote.crossed_at or evidence.rollback.crossed_at) == 1000


def test_an_earlier_look_says_nothing_however_clear_it_is():
    evidence = read(log(4, runs=999, difference=0.4)).evidence()
    assert evidence.p_values is None
    assert (evidence.promote.log_e, evidence.rollback.log_e) == (0.0, 0.0)
    assert not evidence.rollback.crossed
    assert evidence.runs == 999


def test_runs_after_the_look_change_nothing():
    given_ = log(5, runs=3000)
    early, late = read(rows(given_, 0, 1000)).evidence(), read(given_).evidence()
    assert late.p_values == early.p_values
    assert (late.runs, late.watermark) == (1000, 3000)


def test_void_runs_are_none_of_the_planned_ones():
    void = np.random.default_rng(6).random(1500) < 0.3
    given_ = log(6, runs=1500, void=void)
    state = read(given_)
    assert state.evidence().runs == 1000
    assert state.looked_at == int(given_.seq[np.flatnonzero(~void)[999]])


def test_a_share_that_changes_is_refused_by_name():
    propensity = np.repeat([0.1, 0.5], 300)
    with pytest.raises(EvidenceError, match=r"PropensityChanged: run seq 301 .* constant share"):
        read(log(7, runs=600, propensity=propensity))
    state = read(log(7, runs=300, propensity=0.1))
    with pytest.raises(EvidenceError, match="PropensityChanged"):
        fixed_horizon.advance(state, log(8, runs=10, first=301))


def test_worthless_candidates_are_called_as_often_as_the_level_says():
    calls = [
        read(log(seed, runs=400), replace(PLAN, horizon=400)).evidence() for seed in range(400)
    ]
    rolled = np.mean([it.rollback.crossed for it in calls])
    promoted = np.mean([it.promote.crossed for it in calls])
    assert 0.01 <= rolled <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    assert promoted <= 0.03 + 2 * np.sqrt(0.03 * 0.97 / 400)  # the attempt is paid for


@pytest.mark.parametrize(
    ("losses", "promoted", "rolled"), [((0.0, 1.0), 0.0, 1.0), ((1.0, 0.0), 1.0, 0.0)]
)
def test_arms_without_any_spread_are_told_by_their_means(losses, promoted, rolled):
    given_ = log(9, runs=100)
    told = replace(given_, loss=np.where(given_.is_candidate, *losses))
    found = read(told, replace(PLAN, horizon=100)).evidence().p_values
    assert (found.promote, found.rollback) == (promoted, rolled)
    same = replace(given_, loss=np.full(100, 0.5))
    equal = read(same, replace(PLAN, horizon=100)).evidence().p_values
    assert (equal.promote, equal.rollback) == (1.0, 1.0)


def test_an_arm_of_one_run_proves_nothing():
    given_ = log(10, runs=50)
    lonely = replace(given_, is_candidate=np.arange(50) == 7)
    found = read(lonely, replace(PLAN, horizon=50)).evidence()
    assert (found.p_values.promote, found.p_values.rollback) == (1.0, 1.0)


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 1200), max_size=6))
def test_reading_in_pieces_and_through_json_is_bit_for_bit_reading_at_once(seed, cuts):
    rng = np.random.default_rng(seed)
    given_ = observations(rng, runs=1200, propensity=0.3, void=rng.random(1200) < 0.1)
    state, edges = fixed_horizon.start(PLAN), [0, *sorted(cuts), 1200]
    for first, last in pairwise(edges):
        state = fixed_horizon.advance(state, rows(given_, first, last))
        text = json.dumps(state.to_dict())
        state = fixed_horizon.HorizonState.from_dict(json.loads(text), plan=PLAN)
    assert state.to_dict() == read(given_).to_dict()


@pytest.mark.parametrize(
    "changes",
    [
        {"horizon": None},
        {"guardrails": (evidence_types.GuardrailTest(term="x"),)},
        {"futility": evidence_types.FutilityTest(min_improvement=0.1)},
        {"ramp": (evidence_types.RampTest(share_percent=5.0, margin=0.1),)},
        {"interval": True},
        {"candidates": 2},
    ],
)
def test_a_plan_that_one_look_cannot_judge_is_refused(changes):
    with pytest.raises(EvidenceError, match="InvalidPlan: one look"):
        fixed_horizon.start(replace(PLAN, **changes))


@pytest.mark.parametrize("changes", [{"watermark": -1}, {"armSums": [1]}, {"propensity": "x"}])
def test_a_state_that_is_not_what_was_written_is_refused(changes):
    data = {**read(log(11, runs=20)).to_dict(), **changes}
    with pytest.raises(EvidenceError, match="StateInvalid"):
        fixed_horizon.HorizonState.from_dict(data, plan=PLAN)

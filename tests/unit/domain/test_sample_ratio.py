"""Sample ratio: silent while the split is as planned, loud when it is not."""

import json
from dataclasses import replace
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learnops.domain.evidence import sample_ratio
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.errors import EvidenceError
from tests.unit.domain.simulate import observations, rows


def counted(log_, completed=None):
    done = np.ones(len(log_), dtype=bool) if completed is None else completed
    return sample_ratio.advance(sample_ratio.SampleRatioState(), log_, completed=done)


def drawn(rng, *, runs, planned, real):
    log_ = observations(rng, runs=runs, propensity=real)
    return replace(log_, propensity=np.full(runs, planned))


def alarm_after(rng, *, runs, planned, real, look=50):
    """The run at which it first alarmed; inf: never."""
    log_, state = drawn(rng, runs=runs, planned=planned, real=real), None
    state = sample_ratio.SampleRatioState()
    for first in range(0, runs, look):
        piece = rows(log_, first, first + look)
        state = sample_ratio.advance(state, piece, completed=np.ones(look, dtype=bool))
        if state.result().alarm:
            return first + look
    return np.inf


def test_it_is_the_beta_binomial_bayes_factor():
    log_ = observations(np.random.default_rng(1), runs=400, propensity=0.1)
    n, k = 400, int(log_.is_candidate.sum())
    expected = stats.betabinom.logpmf(k, n, 30, 270) - stats.binom.logpmf(k, n, 0.1)
    assert counted(log_).result().assigned_log_e == pytest.approx(expected, abs=1e-9)


def test_different_probabilities_multiply():
    rng = np.random.default_rng(2)
    first = observations(rng, runs=100, propensity=0.1)
    second = observations(rng, runs=100, propensity=0.5, first=101)
    apart = (
        counted(first).result().assigned_log_e
        + counted(replace(second, seq=first.seq)).result().assigned_log_e
    )
    both = sample_ratio.advance(counted(first), second, completed=np.ones(100, dtype=bool))
    assert both.result().assigned_log_e == pytest.approx(apart, abs=1e-12)
    assert both.result().expected_share == pytest.approx(0.3)


def test_mean_of_the_next_e_value_is_the_present_one_while_the_split_is_as_planned():
    state = counted(drawn(np.random.default_rng(3), runs=200, planned=0.1, real=0.2))
    now = np.exp(state.result().assigned_log_e)
    expected = 0.0
    for candidate, chance in ((True, 0.1), (False, 0.9)):
        run = evidence_types.Observations.of(
            seq=[201], is_candidate=[candidate], propensity=[0.1], loss=[0.5], void=[False]
        )
        after = sample_ratio.advance(state, run, completed=np.array([True]))
        expected += chance * np.exp(after.result().assigned_log_e)
    assert expected == pytest.approx(now, rel=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_split_as_planned_hardly_ever_alarms(share):
    rng = np.random.default_rng(4)
    alarms = [
        np.isfinite(alarm_after(rng, runs=3000, planned=share, real=share)) for _ in range(200)
    ]
    assert np.mean(alarms) <= 0.01 + 2 * np.sqrt(0.01 * 0.99 / 200)


def test_fifteen_percent_instead_of_ten_is_found_within_900_runs():
    rng = np.random.default_rng(5)
    after = [alarm_after(rng, runs=5000, planned=0.10, real=0.15) for _ in range(100)]
    assert np.isfinite(after).mean() >= 0.99
    assert np.median(after) <= 900


def test_an_arm_that_loses_its_runs_shows_in_the_completed_ones_alone():
    rng = np.random.default_rng(6)
    log_ = observations(rng, runs=4000, propensity=0.5)
    lost = log_.is_candidate & (rng.random(4000) < 0.2)
    result = counted(log_, ~lost).result()
    assert result.assigned_log_e < log(sample_ratio.ALARM) <= result.completed_log_e
    assert result.alarm


def test_void_runs_and_other_candidates_are_not_counted():
    rng = np.random.default_rng(7)
    log_ = observations(rng, runs=100, propensity=0.25)
    left_out = rng.random(100) < 0.5
    kept = ~left_out
    result = counted(replace(log_, void=left_out)).result()
    assert result.observed_share == pytest.approx(log_.is_candidate[kept].mean())
    three = replace(log_, is_other=left_out, control_propensity=np.full(100, 0.25))
    assert counted(three).result().expected_share == pytest.approx(0.5)


@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 300), max_size=8),
)
def test_reading_in_pieces_and_through_json_changes_nothing(seed, cuts):
    rng = np.random.default_rng(seed)
    share = rng.choice([0.05, 0.1, 0.25], size=300)
    log_ = observations(rng, runs=300, propensity=share, void=rng.random(300) < 0.1)
    done = rng.random(300) < 0.9
    state = sample_ratio.SampleRatioState()
    edges = [0, *sorted(cuts), 300]
    for first, last in pairwise(edges):
        piece = rows(log_, first, last)
        state = sample_ratio.advance(state, piece, completed=done[first:last])
        text = json.dumps(state.to_dict())
        state = sample_ratio.SampleRatioState.from_dict(json.loads(text))
    assert state.to_dict() == counted(log_, done).to_dict()
    assert state.result() == counted(log_, done).result()


def test_before_the_first_run_nothing_is_known_and_nothing_alarms():
    result = sample_ratio.SampleRatioState().result()
    assert not result.alarm
    assert result.observed_share is None


def test_a_gap_is_refused():
    log_ = observations(np.random.default_rng(8), runs=10, propensity=0.5, first=2)
    with pytest.raises(EvidenceError, match="SequenceGap: seq 2 where 1 was due"):
        counted(log_)


def test_completed_must_fit_the_runs():
    log_ = observations(np.random.default_rng(8), runs=10, propensity=0.5)
    with pytest.raises(EvidenceError, match="ColumnsMismatch: column completed is"):
        counted(log_, np.ones(9, dtype=bool))


def test_more_probabilities_than_a_canary_can_have_are_refused():
    log_ = observations(np.random.default_rng(8), runs=65, propensity=np.linspace(0.1, 0.9, 65))
    with pytest.raises(EvidenceError, match="65 different probabilities"):
        counted(log_)


@pytest.mark.parametrize(
    "changes",
    [
        {"watermark": -1},
        {"assigned": None},
        {"assigned": [[0.5, 1, 2]]},
        {"assigned": [[1.5, 2, 1]]},
        {"completed": [[0.5, 2.5, 1]]},
        {"completed": [["x", 2, 1]]},
    ],
)
def test_a_state_that_is_not_what_was_written_is_refused(changes):
    state = counted(observations(np.random.default_rng(9), runs=10, propensity=0.5))
    with pytest.raises(EvidenceError, match="StateInvalid"):
        sample_ratio.SampleRatioState.from_dict({**state.to_dict(), **changes})

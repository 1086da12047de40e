"""The sample ratio from counters: the same counts as from the run log, kept with the watermark."""

import json
from math import log

import numpy as np
import pytest

from learnops.domain.evidence import counters, sample_ratio
from learnops.domain.evidence.counters import ArmSums, CounterIncrement, CounterState
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.sample_ratio import ALARM, SampleRatioState
from tests.unit.domain.counted import sample
from tests.unit.domain.simulate import PLAN, increments, observations


def arm(runs, *, timeouts=0):
    """A run that timed out loses 1, any other a half."""
    lost = timeouts or 0
    kept = runs - lost
    return ArmSums(n=runs, s=lost + kept / 2, q=lost + kept / 4, timeouts=timeouts)


def increment(mine, theirs, *, propensity=0.5, timeouts=(0, 0)):
    return CounterIncrement(
        revision=1,
        propensity=propensity,
        candidate=arm(mine, timeouts=timeouts[0]),
        control=arm(theirs, timeouts=timeouts[1]),
    )


def absorbed(*parts):
    state = counters.start(PLAN, first_revision=1)
    for part in parts:
        state = counters.absorb(state, part)
    return state


def test_it_is_the_run_log_s_test_on_the_same_runs():
    observed = observations(np.random.default_rng(3), runs=400, propensity=0.2)
    state = absorbed(*increments(observed, every=30))
    completed = np.ones(400, dtype=np.bool_)
    logged = sample_ratio.advance(SampleRatioState(), observed, completed=completed)
    assert state.ratio == logged
    assert state.ratio.result() == logged.result()


def test_a_split_that_is_not_as_planned_alarms_and_names_both_shares():
    found = absorbed(increment(300, 1_700, propensity=0.1)).ratio.result()
    assert found.alarm
    assert found.expected_share == pytest.approx(0.1)
    assert found.observed_share == pytest.approx(0.15)


def test_a_split_as_planned_hardly_ever_alarms_however_often_it_is_scraped():
    rng, alarms = np.random.default_rng(8), 0
    for _ in range(300):
        state, highest = SampleRatioState(), 0.0
        for mine in rng.binomial(25, 0.1, size=80):
            counts = (25, int(mine))
            state = sample_ratio.plus(state, propensity=0.1, assigned=counts, completed=counts)
            highest = max(highest, state.result().assigned_log_e)
        alarms += highest >= log(ALARM)
    assert alarms <= 0.01 * 300 + 2 * np.sqrt(0.01 * 0.99 * 300)


def test_an_arm_that_times_out_shows_in_the_completed_ones_alone():
    found = absorbed(increment(1_000, 1_000, timeouts=(300, 0))).ratio.result()
    assert found.assigned_log_e < 0.0
    assert found.completed_log_e > log(ALARM)


def test_runs_whose_timeouts_nobody_tells_are_left_out_of_both_arms():
    state = absorbed(increment(100, 100), increment(500, 50, timeouts=(None, 0)))
    assert state.ratio.assigned == {0.5: (750, 600)}
    assert state.ratio.completed == {0.5: (200, 100)}
    assert state.control_timeouts == 0


def test_another_probability_is_another_factor():
    both = absorbed(increment(10, 90, propensity=0.1), increment(60, 40)).ratio.result()
    alone = [
        absorbed(one).ratio.result()
        for one in (increment(10, 90, propensity=0.1), increment(60, 40))
    ]
    assert both.assigned_log_e == pytest.approx(sum(one.assigned_log_e for one in alone))


def test_it_goes_on_from_the_saved_state_with_its_watermark():
    scrape = [sample(10, 3.0, 1.0)]
    first = counters.observe(counters.start(PLAN, first_revision=1), scrape, propensities={1: 0.5})
    saved = json.loads(json.dumps(first.to_dict()))
    going_on = CounterState.from_dict(saved, plan=PLAN)
    assert going_on.ratio == first.ratio
    again = counters.observe(going_on, scrape, propensities={1: 0.5})
    assert again.ratio.assigned == {0.5: (10, 10)}, "counted once"
    more = counters.observe(again, [sample(14, 4.0, 1.5)], propensities={1: 0.5})
    assert more.ratio.assigned == {0.5: (14, 14)}


def test_a_state_of_before_it_was_kept_begins_with_what_follows():
    saved = absorbed(increment(100, 100)).to_dict()
    del saved["ratio"]
    state = counters.absorb(CounterState.from_dict(saved, plan=PLAN), increment(3, 5))
    assert state.evidence().runs == 208
    assert state.ratio.assigned == {0.5: (8, 3)}


@pytest.mark.parametrize(
    "ratio",
    [
        [],
        "x",
        {"watermark": 1},
        {"watermark": 1, "assigned": [[0.5, 1, 2]], "completed": []},
        {"watermark": 1, "assigned": [[1.5, 2, 1]], "completed": []},
    ],
)
def test_a_ratio_that_is_not_what_was_written_is_refused(ratio):
    saved = {**absorbed(increment(1, 1)).to_dict(), "ratio": ratio}
    with pytest.raises(EvidenceError) as refused:
        CounterState.from_dict(saved, plan=PLAN)
    assert refused.value.reason is EvidenceReason.STATE_INVALID


def test_more_probabilities_than_a_canary_can_have_are_refused():
    state = SampleRatioState()
    for place in range(64):
        state = sample_ratio.plus(
            state, propensity=0.1 + place / 1_000, assigned=(1, 0), completed=(1, 0)
        )
    with pytest.raises(EvidenceError, match="65 different probabilities"):
        sample_ratio.plus(state, propensity=0.9, assigned=(1, 0), completed=None)

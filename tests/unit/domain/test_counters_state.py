"""The state of the counters over lives of the api: it fits, is saved, and counts no run twice."""

import json
from dataclasses import replace

import numpy as np
import pytest

from learnops.domain.assignment import Arm
from learnops.domain.evidence import counters
from learnops.domain.evidence.counter_fold import Folded
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from tests.unit.domain.counted import HALF, gained, sample
from tests.unit.domain.simulate import PLAN, increments, observations


def test_controls_timeouts_are_counted_over_all_processes_and_lives():
    state = counters.start(PLAN, first_revision=1)
    control = {"arm": Arm.CONTROL}
    assert state.control_timeout_fraction == 0.0
    scrape = [sample(10, 5.0, 3.0, timeouts=2, **control), sample(5, 5.0, 5.0, timeouts=5)]
    state = counters.observe(state, scrape, propensities=HALF)
    assert state.control_timeout_fraction == 0.2  # the candidate's are its own fault
    restarted = [sample(10, 2.0, 1.0, instance="b", timeouts=0, **control)]
    state = counters.observe(state, restarted, propensities=HALF)
    read = counters.CounterState.from_dict(json.loads(json.dumps(state.to_dict())), plan=PLAN)
    assert read.control_timeout_fraction == 0.1


def test_one_process_that_does_not_tell_its_timeouts_makes_them_unknown_for_good():
    state = counters.start(PLAN, first_revision=1)
    old = sample(10, 5.0, 3.0, arm=Arm.CONTROL, timeouts=None)
    state = counters.observe(state, [old], propensities=HALF)
    new = sample(10, 5.0, 3.0, arm=Arm.CONTROL, instance="b")
    state = counters.observe(state, [new], propensities=HALF)
    read = counters.CounterState.from_dict(json.loads(json.dumps(state.to_dict())), plan=PLAN)
    assert state.control_timeout_fraction is None
    assert read.control_timeout_fraction is None


@pytest.mark.parametrize("timeouts", [4, 0.5, float("nan")])
def test_timeouts_that_no_runs_have_are_refused(timeouts):
    with pytest.raises(EvidenceError):
        gained({}, sample(10, 4.0, 3.0, timeouts=timeouts))


def test_saved_between_scrapes_it_goes_on_bit_for_bit():
    rng = np.random.default_rng(2)
    parts = list(increments(observations(rng, runs=600, propensity=0.5), every=40))
    whole = saved = counters.start(PLAN, first_revision=1)
    totals = {Arm.CANDIDATE: np.zeros(3), Arm.CONTROL: np.zeros(3)}
    for part in parts:
        for arm, sums in ((Arm.CANDIDATE, part.candidate), (Arm.CONTROL, part.control)):
            totals[arm] += [sums.n, sums.s, sums.q]
        scrape = [sample(*values.tolist(), arm=arm) for arm, values in totals.items()]
        whole = counters.observe(whole, scrape, propensities=HALF)
        for _ in range(2):  # the second reading of the same scrape adds nothing
            saved = counters.observe(saved, scrape, propensities=HALF)
            text = json.dumps(saved.to_dict())
            saved = counters.CounterState.from_dict(json.loads(text), plan=PLAN)
    assert saved.to_dict() == whole.to_dict()
    assert saved.evidence() == whole.evidence()
    assert whole.evidence().runs == 600


def test_the_state_fits_into_a_status_even_at_its_bound():
    scrape = [
        sample(1e9 + index, 1e8 / 3, 1e7 / 3, instance=f"{index:0128d}") for index in range(256)
    ]
    state = counters.observe(counters.start(PLAN, first_revision=1), scrape, propensities=HALF)
    marks = frozenset(f"{index:08d}" for index in range(1024))
    state = replace(state, folded=Folded(marks=marks))
    assert len(json.dumps(state.to_dict(), separators=(",", ":"))) < 65_000
    few = counters.observe(counters.start(PLAN, first_revision=1), scrape[:8], propensities=HALF)
    assert len(json.dumps(few.to_dict(), separators=(",", ":"))) < 4_096


def test_three_hundred_lives_of_an_api_fit_and_each_run_counts_once():
    state = counters.start(PLAN, first_revision=1)
    for life in range(300):
        revision = 1 + life // 100
        name = f"{life:016x}"
        for count in (4, 5):  # each life is seen twice
            scrape = [
                sample(count, 2.0, 1.0, revision=revision, instance=name, arm=arm)
                for arm in (Arm.CANDIDATE, Arm.CONTROL)
            ]
            state = counters.observe(state, scrape, propensities=HALF)
            text = json.dumps(state.to_dict(), separators=(",", ":"))
            assert len(text) < 24_000
            state = counters.CounterState.from_dict(json.loads(text), plan=PLAN)
    assert state.evidence().runs == 300 * 10
    assert not state.folded.gap


def test_a_folded_process_that_comes_back_is_not_counted_again_and_leaves_a_gap():
    state = counters.start(PLAN, first_revision=1)
    for life in range(200):
        scrape = [sample(5, 2.0, 1.0, instance=f"{life:04d}")]
        state = counters.observe(state, scrape, propensities=HALF)
    assert state.evidence().runs == 1000
    state = counters.observe(state, [sample(7, 3.0, 1.5, instance="0000")], propensities=HALF)
    assert state.evidence().runs == 1000
    state = counters.observe(state, [sample(8, 3.5, 1.75, instance="0000")], propensities=HALF)
    assert state.evidence().runs == 1001
    read = counters.CounterState.from_dict(json.loads(json.dumps(state.to_dict())), plan=PLAN)
    assert read.folded == state.folded
    assert read.folded.gap


def test_lives_without_end_are_refused_and_named():
    state = counters.start(PLAN, first_revision=1)
    for life in range(1024 + 128):
        scrape = [sample(5, 2.0, 1.0, instance=f"{life:04d}")]
        state = counters.observe(state, scrape, propensities=HALF)
    one_more = [sample(5, 2.0, 1.0, instance="one more")]
    with pytest.raises(EvidenceError, match="find out why the api restarts") as refused:
        counters.observe(state, one_more, propensities=HALF)
    assert refused.value.reason is EvidenceReason.SERIES_TOO_MANY
    assert state.evidence().runs == 5 * (1024 + 128)

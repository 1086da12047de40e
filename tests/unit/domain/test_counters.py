"""Counters: differencing, the bound, the saved watermark, and canaries of known truth."""

import json
from dataclasses import replace

import numpy as np
import pytest

from learnops.domain.assignment import Arm
from learnops.domain.evidence import anytime, betting, counters
from learnops.domain.evidence.counter_fold import Folded
from learnops.domain.evidence.counters import (
    ArmSums,
    CounterIncrement,
    CounterSample,
    Series,
    difference_counters,
)
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from tests.unit.domain.simulate import (
    PLAN,
    TWO_TESTS,
    counter_crossings,
    crossings,
    increments,
    observations,
)

HALF = {1: 0.5, 2: 0.5, 3: 0.5}


def sample(
    count, loss_sum, loss_sumsq, *, arm=Arm.CANDIDATE, revision=1, instance="a", timeouts=0.0
):
    return CounterSample(
        series=Series(revision, arm, instance),
        count=count,
        loss_sum=loss_sum,
        loss_sumsq=loss_sumsq,
        timeouts=timeouts,
    )


def gained(previous, *current):
    """Increments of one more scrape, and what to keep."""
    return difference_counters(previous, current, propensities=HALF, first_revision=1)


def test_a_new_series_counts_whole_and_then_by_what_it_gained():
    first, kept = gained({}, sample(10, 3.0, 1.0))
    assert first == [
        CounterIncrement(
            revision=1,
            propensity=0.5,
            candidate=ArmSums(n=10, s=3.0, q=1.0),
            control=ArmSums(n=0, s=0.0, q=0.0),
        )
    ]
    second, kept = gained(kept, sample(12, 3.5, 1.25))
    assert second[0].candidate == ArmSums(n=2, s=0.5, q=0.25)
    again, _ = gained(kept, sample(12, 3.5, 1.25))
    assert again == []


@pytest.mark.parametrize("behind", [sample(9, 2.5, 1.25), sample(9, 3.0, 1.5), sample(0, 0, 0)])
def test_a_look_at_an_earlier_state_adds_nothing_and_forgets_nothing(behind):
    _, kept = gained({}, sample(10, 3.0, 1.5))
    nothing, kept = gained(kept, behind)
    assert nothing == []
    (increment,), _ = gained(kept, sample(11, 3.5, 1.75))
    assert increment.candidate == ArmSums(n=1, s=0.5, q=0.25)


@pytest.mark.parametrize("now", [sample(12, 2.5, 2.0), sample(12, 3.5, 1.25), sample(9, 3.5, 1.5)])
def test_figures_of_which_only_some_drop_are_refused(now):
    _, kept = gained({}, sample(10, 3.0, 1.5))
    with pytest.raises(EvidenceError) as refused:
        gained(kept, now)
    assert refused.value.reason is EvidenceReason.COUNTERS_INCONSISTENT


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


def test_instances_and_arms_of_a_revision_add_up_and_revisions_stay_apart_in_order():
    increments_, _ = gained(
        {},
        sample(4, 1.0, 0.5, revision=2),
        sample(2, 0.5, 0.25, instance="b"),
        sample(3, 1.0, 0.5),
        sample(5, 2.0, 1.0, arm=Arm.CONTROL, instance="b"),
    )
    assert [one.revision for one in increments_] == [1, 2]
    assert increments_[0].candidate == ArmSums(n=5, s=1.5, q=0.75)
    assert increments_[0].control == ArmSums(n=5, s=2.0, q=1.0)
    assert increments_[1].control.n == 0


def test_a_series_that_vanishes_and_returns_is_not_counted_twice():
    _, kept = gained({}, sample(10, 3.0, 1.0), sample(1, 0.0, 0.0, instance="b"))
    nothing, kept = gained(kept, sample(1, 0.0, 0.0, instance="b"))
    assert nothing == []
    (back,), _ = gained(kept, sample(11, 3.25, 1.0625))
    assert back.candidate == ArmSums(n=1, s=0.25, q=0.0625)


def test_revisions_of_earlier_canaries_are_left_out():
    increments_, kept = difference_counters(
        {}, [sample(9, 2.0, 1.0, revision=1)], propensities={2: 0.5}, first_revision=2
    )
    assert (increments_, kept) == ([], {})


def test_a_baseline_is_no_evidence():
    state = counters.start(PLAN, first_revision=1, baseline=[sample(10, 3.0, 1.0)])
    state = counters.observe(state, [sample(11, 3.5, 1.25)], propensities=HALF)
    assert state.evidence().candidate_runs == 1
    assert state.evidence().candidate_loss == 0.5


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

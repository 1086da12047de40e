"""What counters of an epoch tell: increments, each counted once."""

import pytest

from learnops.domain.assignment import Arm
from learnops.domain.evidence import counters
from learnops.domain.evidence.counters import ArmSums, CounterIncrement, difference_counters
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from tests.unit.domain.counted import HALF, gained, sample
from tests.unit.domain.simulate import PLAN


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

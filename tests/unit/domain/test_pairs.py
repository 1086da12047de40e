"""Win rate and cost difference: what they are of, and what they do not mistake for it."""

import numpy as np
import pytest

from learnops.domain.evidence.pairs import LOSS_BINS, BinSums, Pairs


def rows_of(losses, *, candidate, propensity=0.5, costs=None):
    """One row a run, as the adapter sums them."""
    weight = 1 / (propensity if candidate else 1 - propensity)
    costs = [None] * len(losses) if costs is None else costs
    return [
        BinSums(
            is_candidate=candidate,
            bin=min(int(loss * LOSS_BINS), LOSS_BINS - 1),
            runs=1,
            weight=weight,
            loss=weight * loss,
            loss_squares=weight * loss * loss,
            cost_runs=0 if cost is None else 1,
            cost_weight=0.0 if cost is None else weight,
            cost=0.0 if cost is None else weight * cost,
        )
        for loss, cost in zip(losses, costs, strict=True)
    ]


def pairs_of(mine, theirs, **more):
    rows = rows_of(mine, candidate=True, **more) + rows_of(theirs, candidate=False, **more)
    return Pairs().advance(rows, watermark=len(rows))


def test_the_win_rate_is_the_share_of_pairs_that_the_candidate_wins():
    rng = np.random.default_rng(1)
    mine, theirs = rng.beta(2, 5, 300), rng.beta(2, 4, 500)
    wins = np.mean([np.mean(one < theirs) for one in mine])
    assert pairs_of(mine, theirs).win_rate() == pytest.approx(wins, abs=0.01)


def test_ties_count_half_and_one_side_wins_all():
    assert pairs_of([0.3] * 10, [0.3] * 40).win_rate() == pytest.approx(0.5)
    assert pairs_of([0.0] * 10, [1.0] * 40).win_rate() == pytest.approx(1.0)
    assert pairs_of([1.0] * 10, [0.0] * 40).win_rate() == pytest.approx(0.0)


def test_most_pairs_can_be_won_by_the_one_that_is_worse_in_the_mean():
    mine, theirs = [0.2] * 90 + [1.0] * 10, [0.25] * 100
    found = pairs_of(mine, theirs)
    assert found.win_rate() == pytest.approx(0.9)
    assert found.candidate.mean > found.control.mean


def test_a_share_that_rises_while_the_day_gets_better_does_not_tilt_it():
    """No difference; 10 % of the runs on a bad morning, 50 % on a good afternoon."""
    rng, rows = np.random.default_rng(3), []
    for share, mean in ((0.1, 0.6), (0.5, 0.2)):
        losses = np.clip(rng.normal(mean, 0.05, 4_000), 0, 1)
        drawn = rng.random(4_000) < share
        rows += rows_of(losses[drawn], candidate=True, propensity=share)
        rows += rows_of(losses[~drawn], candidate=False, propensity=share)
    found = Pairs().advance(rows, watermark=8_000)
    assert found.win_rate() == pytest.approx(0.5, abs=0.03)
    unweighted = pairs_of(
        *(
            [row.loss / row.weight for row in rows if row.is_candidate is mine]
            for mine in (True, False)
        )
    )
    assert unweighted.win_rate() > 0.6


def test_the_cost_is_of_the_runs_that_told_one():
    found = pairs_of([0.5] * 20, [0.5] * 20, costs=[0.03] * 10 + [None] * 10)
    assert found.cost_delta() == pytest.approx(0.0)
    dearer = rows_of([0.5] * 10, candidate=True, costs=[0.25] * 10)
    cheap = rows_of([0.5] * 10, candidate=False, costs=[0.05] * 10)
    assert Pairs().advance(dearer + cheap, watermark=20).cost_delta() == pytest.approx(0.2)


def test_too_few_runs_are_no_number():
    assert pairs_of([0.1] * 9, [0.2] * 50).win_rate() is None
    assert pairs_of([0.1] * 50, [0.2] * 50, costs=[0.1] * 9 + [None] * 41).cost_delta() is None
    assert Pairs().win_rate() is None


def test_pieces_give_what_the_whole_gives():
    rng = np.random.default_rng(5)
    rows = rows_of(rng.random(50), candidate=True) + rows_of(rng.random(50), candidate=False)
    whole = Pairs().advance(rows, watermark=100)
    pieces = Pairs()
    for first in range(0, 100, 7):
        pieces = pieces.advance(rows[first : first + 7], watermark=min(first + 7, 100))
    assert pieces.watermark == whole.watermark
    assert pieces.win_rate() == pytest.approx(whole.win_rate(), abs=1e-12)
    assert pieces.candidate.deviation == pytest.approx(whole.candidate.deviation, abs=1e-12)

"""Sums of past runs before and after, by who ran; each run by its tenant's weights."""

import numpy as np
import pytest

from learnops.domain.crl.whatif import UNKNOWN, Runs, Tally, count, rescored
from learnops.domain.crl.yardstick import Weights, Yardstick, Yardsticks

NAN = float("nan")
GROUNDING = np.array([0.2, 0.4, 0.6, NAN])
COVERAGE = np.array([1.0, 0.0, NAN, 0.5])


def weights(**by_term: float) -> Weights:
    return Weights(by_term=by_term)


def runs() -> Runs:
    """Two runs of each group; the last was scored nobody knows by what, the second for acme."""
    values = {"grounding": GROUNDING, "ragCoverage": COVERAGE}
    return Runs(
        group=np.array([0, 0, 1, 1]),
        tenant=np.array([UNKNOWN, 0, UNKNOWN, UNKNOWN]),
        tenants=("acme",),
        loss=np.array([0.2, 0.2, 0.6, NAN]),
        partial=np.array([False, False, False, True]),
        scored=values,
        weights=np.array([0, 1, 0, UNKNOWN]),
        known=(weights(grounding=1.0), weights(grounding=1.0, ragCoverage=1.0)),
        values=values,
    )


def tallied() -> tuple[Tally, Tally]:
    base, acme = weights(ragCoverage=1.0), weights(grounding=1.0, ragCoverage=3.0)
    by = Yardsticks(base=Yardstick(weights=base), by_tenant={"acme": Yardstick(weights=acme)})
    found = Tally(), Tally()
    count(runs(), rescored(runs(), by), into=found)
    return found


def test_each_run_counts_in_its_group_by_its_tenants_weights() -> None:
    first, second = tallied()
    assert (first.runs, second.runs) == (2, 2)
    assert first.loss_before == pytest.approx(0.4)
    assert first.loss_after == pytest.approx(1.0 + 0.4 / 4)
    assert second.loss_after == pytest.approx(1.0 + 0.5)
    assert (second.partial_before, second.partial_after) == (1, 1)
    assert second.silent == {"ragCoverage": 1, "grounding": 0}


def test_what_is_not_known_of_the_past_is_in_no_mean() -> None:
    _, second = tallied()
    assert (second.scored, second.explained) == (1, 1)
    assert second.loss_before == pytest.approx(0.6)
    assert second.shares_before == pytest.approx({"grounding": 0.6, "ragCoverage": 0.0})


def test_the_terms_that_moved_the_loss_most_come_first() -> None:
    first, _ = tallied()
    (name, before, after), other = first.drivers()
    assert (name, before, after) == ("ragCoverage", pytest.approx(0.0), pytest.approx(0.5))
    assert other[2] - other[1] == pytest.approx(0.05 - 0.2)
    told = sum(new - old for _, old, new in first.drivers())
    assert told == pytest.approx((first.loss_after - first.loss_before) / 2)

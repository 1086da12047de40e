"""Anytime: exactness of each factor, what counts, and what a canary of known truth does."""

import itertools
import json

import numpy as np
import pytest

from learnops.domain.evidence import anytime, betting, hypotheses
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.errors import EvidenceError
from tests.unit.domain.simulate import PLAN, TWO_TESTS, crossings, observations, rows

PROPENSITIES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 0.99)
MARGINS = (0.0, 0.02, 0.1)


def two_point_plan(margin):
    return evidence_types.TestPlan(margin=margin, tolerance=margin)


def null_of(test, margin):
    """Mean losses (candidate, control) on the border of the test's null hypothesis."""
    control = 0.3
    return control + margin, control


@pytest.mark.parametrize("pi", PROPENSITIES)
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("m", [0.0, 0.1, 0.37, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("test", [0, 1], ids=["rollback", "promote"])
def test_mean_of_each_factor_is_one_under_equality(pi, margin, m, test):
    tests = hypotheses.Tests.of(two_point_plan(margin))
    mean_c, mean_0 = null_of(test, margin)
    outcomes = [
        (pi * mean_c, (1.0 - m) / pi),
        (pi * (1 - mean_c), (0.0 - m) / pi),
        ((1 - pi) * mean_0, -(1.0 - m) / (1 - pi)),
        ((1 - pi) * (1 - mean_0), (0.0 + m) / (1 - pi)),
    ]
    probability, scores = np.array(outcomes).T
    g = betting.payoffs(tests, scores[None])[test]
    one = np.array([pi])
    b = betting.bounds(tests, m=np.array([[m]]), propensity=one, other=1.0 - one)
    for sums in ((0.0, 0.0), (30.0, 100.0), (-50.0, 4000.0), (1e6, 1e6)):
        totals = np.full((2, len(tests), 1), sums[0])
        totals[1] = sums[1]
        stake = anytime.adaptive_bet(totals, propensity=one, bound=b)[test, 0]
        assert 0.0 <= stake <= 0.8 / b[test, 0]
        bets = [*(betting.FRACTIONS / b[test, 0]), stake]
        for bet in bets:
            factors = 1.0 + bet * g
            assert factors.min() > 0.0
            assert abs(float(probability @ factors) - 1.0) < 1e-12


@pytest.mark.parametrize("pi", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("margin", MARGINS)
def test_mean_of_the_next_e_value_is_the_present_one_under_equality(pi, margin):
    """The same through the whole engine: a block with one live run, the other nine void."""
    rng = np.random.default_rng(5)
    plan = two_point_plan(margin)
    past = anytime.advance(
        anytime.start(plan), observations(rng, runs=300, propensity=0.3, difference=0.1)
    )
    mean_c, mean_0 = 0.4 + margin, 0.4
    void = np.array([False] + [True] * 9)
    expected = np.zeros(2)
    for candidate, loss in itertools.product((True, False), (0.0, 1.0)):
        mean = mean_c if candidate else mean_0
        chance = (pi if candidate else 1 - pi) * (mean if loss else 1 - mean)
        block = evidence_types.Observations(
            seq=np.arange(301, 311),
            is_candidate=np.full(10, candidate),
            propensity=np.full(10, pi),
            loss=np.full(10, loss),
            void=void,
        )
        after = anytime.advance(past, block).evidence()
        expected += chance * np.exp([after.rollback.log_e, after.promote.log_e])
    before = past.evidence()
    now = np.exp([before.rollback.log_e, before.promote.log_e])
    np.testing.assert_allclose(expected, now, rtol=1e-12)


def test_nothing_is_known_before_the_first_block():
    state = anytime.advance(
        anytime.start(PLAN), observations(np.random.default_rng(1), runs=9, propensity=0.5)
    )
    evidence = state.evidence()
    assert (evidence.runs, evidence.blocks, evidence.watermark) == (0, 0, 0)
    assert evidence.promote.e_value == pytest.approx(1.0, abs=1e-15)
    assert evidence.candidate_loss is None
    assert evidence.promote.crossed_at is None


def test_an_incomplete_tail_is_not_judged():
    observed = observations(np.random.default_rng(1), runs=57, propensity=0.5)
    whole = anytime.advance(anytime.start(PLAN), observed)
    fifty = anytime.advance(anytime.start(PLAN), rows(observed, 0, 50))
    assert whole.to_dict() == fifty.to_dict()
    assert whole.evidence().watermark == 50


def test_void_runs_have_factor_one_and_enter_no_sum():
    """Ten live runs spread among void ones, one live run a block, change what only they change."""
    rng = np.random.default_rng(2)
    void = rng.random(200) < 0.5
    observed = observations(rng, runs=200, propensity=0.5, void=void)
    state = anytime.advance(anytime.start(PLAN), observed)
    rubbish = evidence_types.Observations(
        seq=observed.seq,
        is_candidate=np.where(void, ~observed.is_candidate, observed.is_candidate),
        propensity=np.where(void, np.nan, observed.propensity),
        loss=np.where(void, 7.0, observed.loss),
        void=void,
    )
    assert anytime.advance(anytime.start(PLAN), rubbish).to_dict() == state.to_dict()
    evidence = state.evidence()
    assert evidence.runs == int((~void).sum())
    live = observed.loss[~void & observed.is_candidate]
    assert evidence.candidate_runs == len(live)
    assert evidence.candidate_loss == pytest.approx(live.mean())


def test_only_void_runs_leave_every_e_value_at_one():
    void = np.ones(40, dtype=bool)
    observed = observations(np.random.default_rng(2), runs=40, propensity=0.5, void=void)
    evidence = anytime.advance(anytime.start(PLAN), observed).evidence()
    assert evidence.rollback.e_value == pytest.approx(1.0, abs=1e-15)
    assert (evidence.blocks, evidence.runs) == (4, 0)


def test_a_crossing_is_latched_at_the_block_where_it_happened():
    rng = np.random.default_rng(3)
    bad = observations(rng, runs=400, propensity=0.5, difference=0.4)
    state = anytime.advance(anytime.start(TWO_TESTS), bad)
    at = state.evidence().rollback.crossed_at
    assert at is not None
    assert at % 10 == 0
    before = anytime.advance(anytime.start(TWO_TESTS), rows(bad, 0, at - 10)).evidence()
    assert not before.rollback.crossed
    good = observations(rng, runs=4000, propensity=0.5, difference=-0.3, first=401)
    later = anytime.advance(state, good).evidence()
    assert later.rollback.log_e < later.rollback.log_threshold
    assert later.rollback.crossed_at == at


def test_losses_at_the_edges_and_tiny_propensities_never_overflow():
    rng = np.random.default_rng(4)
    for share in (1e-6, 1 - 1e-6, 0.5):
        for difference in (-1.0, 1.0):
            observed = observations(
                rng,
                runs=20_000,
                propensity=share,
                difference=difference,
                losses=lambda rng, n: (rng.random(n) < 0.5).astype(float),
            )
            evidence = anytime.advance(anytime.start(PLAN), observed).evidence()
            assert np.isfinite(evidence.promote.log_e)
            assert np.isfinite(evidence.rollback.log_e)


def test_state_stays_small_and_exact_through_json():
    observed = observations(np.random.default_rng(6), runs=10_000, propensity=0.1)
    state = anytime.advance(anytime.start(PLAN), observed)
    text = json.dumps(state.to_dict())
    assert len(text) <= 4096
    again = anytime.EngineState.from_dict(json.loads(text), plan=PLAN)
    assert again.to_dict() == state.to_dict()
    assert again.evidence() == state.evidence()


def test_attempts_are_paid_for():
    thresholds = [
        anytime.start(evidence_types.TestPlan(attempt=k)).evidence().promote.log_threshold
        for k in (1, 2, 10)
    ]
    expected = [np.log(1 / (0.6079 * 0.05 / k**2)) for k in (1, 2, 10)]
    assert thresholds == pytest.approx(expected, rel=1e-12)


def test_may_leave_asks_the_test_of_that_share():
    good = observations(np.random.default_rng(7), runs=300, propensity=0.1, difference=-0.1)
    evidence = anytime.advance(anytime.start(PLAN), good).evidence()
    assert evidence.may_leave(5.0)
    assert evidence.ramp[5.0].margin == 0.10
    with pytest.raises(EvidenceError, match="no ramp test for a share of 33"):
        evidence.may_leave(33.0)


ERROR_2_SIGMA = 2 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_worthless_candidates_are_rarely_called(share):
    promoted, rolled, _ = crossings(
        np.random.default_rng(11), canaries=300, runs=3000, propensity=share
    )
    assert np.isfinite(promoted).mean() <= 0.05 + ERROR_2_SIGMA
    assert np.isfinite(rolled).mean() <= 0.05 + ERROR_2_SIGMA


@pytest.mark.parametrize(("rate", "share"), [(0.005, 0.05), (0.02, 0.1)])
def test_rare_failures_do_not_promote_a_worthless_candidate(rate, share):
    promoted, rolled, _ = crossings(
        np.random.default_rng(12),
        canaries=300,
        runs=3000,
        propensity=share,
        losses=lambda rng, n: (rng.random(n) < rate).astype(float),
    )
    assert np.isfinite(promoted).mean() <= 0.05 + ERROR_2_SIGMA
    assert np.isfinite(rolled).mean() <= 0.05 + ERROR_2_SIGMA


def test_a_drifting_day_and_a_ramp_do_not_fool_it():
    """Both arms drift while the share rises: what pooled means get wrong."""
    rng = np.random.default_rng(13)
    share = np.repeat([0.05, 0.1, 0.25, 0.5], 500)
    drift = np.linspace(0.0, -0.12, 2000)
    promoted, rolled, _ = crossings(
        rng,
        canaries=300,
        runs=2000,
        propensity=share,
        losses=lambda rng, n: np.clip(rng.beta(2.5, 35 / 6, n) + drift, 0, 1),
    )
    assert np.isfinite(promoted).mean() <= 0.05 + ERROR_2_SIGMA
    assert np.isfinite(rolled).mean() <= 0.05 + ERROR_2_SIGMA


def test_a_better_candidate_is_promoted_soon():
    promoted, _, _ = crossings(
        np.random.default_rng(14), canaries=100, runs=3000, propensity=0.5, difference=-0.05
    )
    assert np.isfinite(promoted).mean() >= 0.99
    assert np.median(promoted) <= 600


@pytest.mark.parametrize(("difference", "median"), [(0.10, 35), (0.20, 20)])
def test_a_worse_candidate_is_rolled_back_after_few_runs(difference, median):
    _, rolled, candidates = crossings(
        np.random.default_rng(15), canaries=200, runs=1500, propensity=0.1, difference=difference
    )
    assert np.isfinite(rolled).all()
    assert np.median(candidates) <= median
    assert np.quantile(candidates, 0.9) <= 60

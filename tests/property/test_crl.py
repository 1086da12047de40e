"""Laws of the CRL: bounded, monotone, free of scale, and silence never pays."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from learnops.domain.crl.score import BundleMetrics
from learnops.domain.crl.score import score as by_yardstick
from learnops.domain.crl.terms import Term
from learnops.domain.crl.yardstick import Budget, Weights, Yardstick

BUDGET = Budget(cost_usd=10.0, latency_milliseconds=1000.0)
RATE = st.floats(0.0, 1.0)
AMOUNT = st.floats(0.0, 1e12)
# Per term: folder, field, values, and whether more is better.
FIELDS = {
    Term.GATE_PASS_RATE: ("metrics", "gatePassRate", RATE, True),
    Term.CONTRADICTIONS: ("metrics", "contradictions", AMOUNT, False),
    Term.GROUNDING: ("metrics", "grounding", RATE, True),
    Term.COST_OVER_BUDGET: ("costs", "costUSD", AMOUNT, False),
    Term.LATENCY_P95: ("metrics", "latencyP95Milliseconds", AMOUNT, False),
    Term.SECURITY_CRITICALS: ("metrics", "securityCriticals", AMOUNT, False),
    Term.API_BREAKAGES: ("metrics", "apiBreakages", AMOUNT, False),
    Term.DB_MIGRATION_FAIL: ("metrics", "dbMigrationFail", st.booleans(), False),
    Term.RAG_COVERAGE: ("metrics", "ragCoverage", RATE, True),
}
TERMS = st.sampled_from(list(Term))
WEIGHTS = st.dictionaries(TERMS, st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=1).filter(
    lambda weights: any(weights.values())
)


@st.composite
def reports(draw):
    """Values of some of the terms."""
    return {term: draw(values) for term, (_, _, values, _) in FIELDS.items() if draw(st.booleans())}


def run(report):
    folders = {"metrics": {}, "costs": {}}
    for term, value in report.items():
        folder, field, _, _ = FIELDS[term]
        folders[folder][field] = value
    return BundleMetrics(**folders)


def score(bundle, weights, budget):
    """The score by these weights and budgets."""
    return by_yardstick(bundle, Yardstick(weights=weights, budget=budget))


def loss(report, weights):
    return score(run(report), Weights(by_term=weights), BUDGET).loss


@given(report=reports(), weights=WEIGHTS)
def test_the_loss_lies_in_zero_to_one_and_is_its_breakdown(report, weights):
    result = score(run(report), Weights(by_term=weights), BUDGET)
    assert 0.0 <= result.loss <= 1.0
    assert sum(line.share for line in result.contributions) == pytest.approx(result.loss)
    assert result.crl == pytest.approx(result.loss * sum(weights.values()))
    assert result.partial == any(t not in report and w > 0 for t, w in weights.items())


@given(report=reports(), weights=WEIGHTS, term=TERMS, data=st.data())
def test_a_worse_value_never_lowers_the_loss(report, weights, term, data):
    _, _, values, more_is_better = FIELDS[term]
    low, high = sorted((data.draw(values), data.draw(values)))
    better, worse = (high, low) if more_is_better else (low, high)
    assert loss({**report, term: better}, weights) <= loss({**report, term: worse}, weights)


@given(report=reports(), weights=WEIGHTS, scale=st.floats(1e-3, 1e3))
def test_scaling_all_weights_changes_nothing(report, weights, scale):
    scaled = {term: weight * scale for term, weight in weights.items()}
    assert loss(report, scaled) == pytest.approx(loss(report, weights), abs=1e-12)


@given(report=reports(), weights=WEIGHTS, term=TERMS)
def test_falling_silent_never_helps(report, weights, term):
    assume(term in report)
    silent = {other: value for other, value in report.items() if other is not term}
    assert loss(silent, weights) >= loss(report, weights)


@given(report=reports(), weights=WEIGHTS)
def test_terms_that_are_not_in_use_do_not_matter(report, weights):
    used = {term for term, weight in weights.items() if weight > 0}
    only = {term: value for term, value in report.items() if term in used}
    assert loss(only, weights) == loss(report, weights)

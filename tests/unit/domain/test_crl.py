"""The CRL of a run, by hand."""

from decimal import Decimal
from math import exp

import pytest

from learnops.domain.crl.score import BundleMetrics, Gate, read_terms
from learnops.domain.crl.score import score as by_yardstick
from learnops.domain.crl.terms import METRICS, InvalidMetric, Term
from learnops.domain.crl.yardstick import (
    DEFAULT_WEIGHTS,
    Budget,
    ExtraTerm,
    Override,
    Weights,
    Yardstick,
    resolve,
)

BUDGET = Budget(cost_usd=10.0, latency_milliseconds=60_000)
ALL = Weights.of(DEFAULT_WEIGHTS)
BEST = BundleMetrics(
    metrics={
        "gatePassRate": 1,
        "contradictions": 0,
        "grounding": 1.0,
        "latencyP95Milliseconds": 800,
        "securityCriticals": 0,
        "apiBreakages": 0,
        "dbMigrationFail": False,
        "ragCoverage": 1.0,
    },
    costs={"costUSD": 0.02},
)
WORSE = BundleMetrics(
    metrics={
        "gatePassRate": 0.9,
        "contradictions": 3,
        "grounding": 0.8,
        "latencyP95Milliseconds": 75_000,
        "securityCriticals": 1,
        "apiBreakages": 2,
        "dbMigrationFail": True,
        "ragCoverage": 0.5,
    },
    costs={"costUSD": 15},
)


def score(bundle, weights, budget):
    """The score by these weights and budgets."""
    return by_yardstick(bundle, Yardstick(weights=weights, budget=budget))


@pytest.mark.parametrize(
    ("told", "is_read_as"),
    [
        (1.0000000000000002, 1.0),  # a cosine of equal vectors
        (1.0 + 1e-9, 1.0),
        (-1e-9, 0.0),
        (-1e-17, 0.0),
        (-0.0, 0.0),
        (0.999999999, 0.999999999),
        (1e-9, 1e-9),
        (1, 1.0),
    ],
)
@pytest.mark.parametrize("name", ["gatePassRate", "grounding", "ragCoverage"])
def test_a_rate_that_was_rounded_is_its_nearer_end(name, told, is_read_as):
    found = read_terms(BundleMetrics(metrics={name: told}), Budget())
    assert found == {name: 1.0 - is_read_as}


@pytest.mark.parametrize("name", METRICS)
def test_what_each_metric_must_be_is_what_its_term_takes(name):
    values = (True, False, 0, 1, 0.5, 1.5, -1, float("nan"), "1", [1])
    refused = [_refusal(METRICS[name], value, f"metrics.{name}") for value in values]
    assert refused == [
        _refusal(read_terms, BundleMetrics(metrics={name: value}), Budget()) for value in values
    ]
    assert None in refused
    assert all(refused[-3:]), "what is no number is refused by each"


def _refusal(check, *given):
    try:
        check(*given)
    except InvalidMetric as error:
        return str(error)
    return None


def test_a_perfect_run_loses_nothing():
    result = score(BEST, ALL, BUDGET)
    assert (result.loss, result.crl, result.partial, result.missing) == (0.0, 0.0, False, ())


def test_each_term_is_normalised_as_documented():
    result = score(WORSE, ALL, BUDGET)
    expected = {
        Term.GATE_PASS_RATE: 0.1,
        Term.CONTRADICTIONS: 1 - exp(-1),
        Term.GROUNDING: 0.2,
        Term.COST_OVER_BUDGET: 0.5,
        Term.LATENCY_P95: 0.25,
        Term.SECURITY_CRITICALS: 1 - exp(-1),
        Term.API_BREAKAGES: 1 - exp(-1),
        Term.DB_MIGRATION_FAIL: 1.0,
        Term.RAG_COVERAGE: 0.5,
    }
    assert result.terms == pytest.approx(expected)
    assert result.crl == pytest.approx(sum(expected.values()))
    assert result.loss == pytest.approx(sum(expected.values()) / 9)


def test_the_breakdown_adds_up_to_the_loss_with_weights():
    weights = Weights.of({"grounding": "1", "securityCriticals": Decimal(3), "ragCoverage": 0})
    result = score(WORSE, weights, BUDGET)
    lines = {line.term: (line.weight, line.share) for line in result.contributions}
    assert lines == {
        Term.GROUNDING: (1.0, pytest.approx(0.05)),
        Term.SECURITY_CRITICALS: (3.0, pytest.approx(0.75 * (1 - exp(-1)))),
    }
    assert sum(line.share for line in result.contributions) == pytest.approx(result.loss)


def test_a_term_in_use_that_is_silent_counts_one_and_marks_the_run_partial():
    result = score(
        BundleMetrics(metrics={"grounding": 1.0}),
        Weights.of({"grounding": 1, "ragCoverage": 1}),
        BUDGET,
    )
    assert result.loss == 0.5
    assert result.partial
    assert result.missing == (Term.RAG_COVERAGE,)
    assert [line.reported for line in result.contributions] == [True, False]
    assert Term.RAG_COVERAGE not in result.terms


def test_a_silent_term_that_is_not_in_use_costs_nothing():
    result = score(BundleMetrics(metrics={"grounding": 0.75}), Weights.of({"grounding": 2}), BUDGET)
    assert (result.loss, result.crl, result.partial) == (0.25, 0.5, False)


def test_an_empty_bundle_is_the_worst_run():
    result = score(BundleMetrics(metrics={}), ALL, BUDGET)
    assert result.loss == 1.0
    assert len(result.missing) == 9


def test_gates_give_the_pass_rate_where_the_run_states_none():
    gates = (Gate(name="compiles", passed=True), Gate(name="tests", passed=False))
    weights = Weights.of({"gatePassRate": 1})
    derived = BundleMetrics(metrics={}, gates=gates)
    assert score(derived, weights, BUDGET).loss == 0.5
    stated = BundleMetrics(metrics={"gatePassRate": 0.9}, gates=gates)
    assert score(stated, weights, BUDGET).loss == pytest.approx(0.1)


def test_the_runs_own_budget_wins_over_the_doers():
    weights = Weights.of({"costOverBudget": 1, "latencyP95": 1})
    run = BundleMetrics(
        metrics={"latencyP95Milliseconds": 1500},
        costs={"costUSD": 15.0},
        budget={"maxCostUSD": 30.0, "maxDurationMilliseconds": 1000},
    )
    result = score(run, weights, BUDGET)
    assert result.terms == {Term.COST_OVER_BUDGET: 0.0, Term.LATENCY_P95: 0.5}


def test_without_any_budget_a_cost_is_not_known_to_be_good():
    run = BundleMetrics(metrics={}, costs={"costUSD": 0.0})
    result = score(run, Weights.of({"costOverBudget": 1}), Budget())
    assert (result.loss, result.missing) == (1.0, (Term.COST_OVER_BUDGET,))


def test_budgets_are_read_as_a_doer_writes_them():
    assert Budget.of({"costUSD": "10", "latencyMilliseconds": 60000}) == BUDGET
    assert Budget.of({}) == Budget()


def test_an_extra_term_is_its_metric_over_its_cap_and_weighs_as_the_nine_do():
    toxicity = ExtraTerm(name="toxicity", metric="toxicScore", cap=4.0)
    weights = Weights.of({"grounding": 1, "toxicity": "3"}, extra=["toxicity"])
    by = Yardstick(weights=weights, extra=(toxicity,))
    result = by_yardstick(BundleMetrics(metrics={"grounding": 0.8, "toxicScore": 1.0}), by)
    assert result.loss == pytest.approx((0.2 + 3 * 0.25) / 4)
    assert [line.term for line in result.contributions] == ["grounding", "toxicity"]
    capped = by_yardstick(BundleMetrics(metrics={"grounding": 1.0, "toxicScore": 99}), by)
    assert capped.terms["toxicity"] == 1.0
    silent = by_yardstick(BundleMetrics(metrics={"grounding": 1.0}), by)
    assert (silent.loss, silent.missing) == (0.75, ("toxicity",))


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        (None, {"grounding": 1.0, "contradictions": 2.0}),
        ("other", {"grounding": 1.0, "contradictions": 2.0}),
        ("acme", {"grounding": 5.0, "contradictions": 7.0}),
        ("tiny", {"grounding": 9.0, "contradictions": 2.0}),
    ],
)
def test_a_weight_comes_from_the_most_specific_place_that_names_its_term(tenant, expected):
    base = Yardstick(weights=Weights.of({"grounding": 1, "contradictions": 1}))
    overrides = [
        Override(tenant="acme", phase="plan", weights={"contradictions": 7.0}),
        Override(tenant="acme", weights={"grounding": 5.0, "contradictions": 6.0}),
        Override(phase="plan", weights={"contradictions": 2.0}),
        Override(tenant="tiny", weights={"grounding": 9.0}),
    ]
    assert resolve(base, overrides).of(tenant).weights.by_term == expected
    assert resolve(base, overrides[::-1]).of(tenant).weights.by_term == expected

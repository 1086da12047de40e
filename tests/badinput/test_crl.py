"""A value that is not what its field means refuses the run and names the field."""

import pytest

from learnops.domain.crl.score import BundleMetrics, Gate, score
from learnops.domain.crl.terms import InvalidMetric
from learnops.domain.crl.yardstick import Budget, Weights, Yardstick

NAN, INF = float("nan"), float("inf")
BUDGET = Budget(cost_usd=10.0, latency_milliseconds=60_000)
IN_USE = Weights.of({"grounding": 1})


TABLE = [
    ({"metrics": {"grounding": NAN}}, "metrics.grounding: is nan; send a finite number"),
    ({"metrics": {"grounding": INF}}, "metrics.grounding: is inf; send a finite number"),
    ({"metrics": {"grounding": -0.1}}, "metrics.grounding: is -0.1; send 0 or more"),
    ({"metrics": {"grounding": -2e-9}}, "metrics.grounding: is -2e-09; send 0 or more"),
    ({"metrics": {"ragCoverage": 1.000000002}}, "metrics.ragCoverage: is 1.000000002; send a rate"),
    ({"metrics": {"grounding": 1.1}}, "metrics.grounding: is 1.1; send a rate from 0 to 1"),
    ({"metrics": {"grounding": True}}, "metrics.grounding: is True; send a number"),
    ({"metrics": {"grounding": "0.5"}}, "metrics.grounding: is '0.5'; send a number"),
    ({"metrics": {"grounding": [1]}}, "metrics.grounding: is [1]; send a number"),
    ({"metrics": {"gatePassRate": 2}}, "metrics.gatePassRate: is 2; send a rate from 0 to 1"),
    ({"metrics": {"ragCoverage": -INF}}, "metrics.ragCoverage: is -inf; send a finite number"),
    ({"metrics": {"contradictions": -1}}, "metrics.contradictions: is -1; send 0 or more"),
    ({"metrics": {"contradictions": 10**400}}, "metrics.contradictions: is too large; send a"),
    ({"metrics": {"securityCriticals": NAN}}, "metrics.securityCriticals: is nan; send a finite"),
    ({"metrics": {"apiBreakages": "x" * 99}}, "metrics.apiBreakages: is 'xxx"),
    ({"metrics": {"dbMigrationFail": 1}}, "metrics.dbMigrationFail: is 1; send true or false"),
    ({"metrics": {"latencyP95Milliseconds": -1}}, "metrics.latencyP95Milliseconds: is -1; send 0"),
    ({"costs": {"costUSD": NAN}}, "costs.costUSD: is nan; send a finite number"),
    ({"budget": {"maxCostUSD": 0}, "costs": {"costUSD": 1}}, "budget.maxCostUSD: is 0; send a"),
    ({"budget": {"maxCostUSD": -5}}, "budget.maxCostUSD: is -5; send 0 or more"),
    ({"budget": {"maxDurationMilliseconds": NAN}}, "budget.maxDurationMilliseconds: is nan; send"),
    ({"gates": (Gate(name="t", passed=1),)}, "gates[t].passed: is 1; send true or false"),  # type: ignore[arg-type]
    ({"gates": (Gate(name="t", passed=True),) * 1001}, "gates: has over 1000 entries"),
]


@pytest.mark.parametrize(("bundle", "message"), TABLE, ids=[row[1].split(";")[0] for row in TABLE])
def test_a_bad_value_is_named_also_in_a_term_that_is_not_in_use(bundle, message):
    with pytest.raises(InvalidMetric) as error:
        score(BundleMetrics(**{"metrics": {}, **bundle}), Yardstick(weights=IN_USE, budget=BUDGET))
    assert str(error.value).startswith(message)
    assert error.value.field == message.split(": ")[0]
    assert len(str(error.value)) < 120


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"grounding": -1}, "weights.grounding: is -1.0; use 0 to 1e+09"),
        ({"grounding": NAN}, "weights.grounding: is nan; use 0 to"),
        ({"grounding": 1e10}, "weights.grounding: is 1"),
        ({"grounding": "many"}, "weights.grounding: is 'many'; write a decimal"),
        ({"grounding": 0}, "weights: sum to 0; give one term a weight above 0"),
        ({}, "weights: sum to 0; give one term a weight above 0"),
        ({"groundedness": 1}, "weights.groundedness: is no term; the terms are gatePassRate, "),
    ],
)
def test_bad_weights_are_named(weights, message):
    with pytest.raises(InvalidMetric) as error:
        Weights.of(weights)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("value", [0, -1, NAN, INF])
def test_a_budget_that_is_no_yardstick_is_named(value):
    with pytest.raises(InvalidMetric, match=r"^budget\.cost_usd: is "):
        Budget(cost_usd=value)

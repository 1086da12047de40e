"""Many runs at once score what each scores alone, to the last bit."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learnops.domain.crl.columns import over_budget_column, rounded_once, score_columns
from learnops.domain.crl.score import BundleMetrics, score
from learnops.domain.crl.terms import Term, over_budget
from learnops.domain.crl.yardstick import Budget, ExtraTerm, Weights, Yardstick

BUDGET = Budget(cost_usd=0.3, latency_milliseconds=700.0)
EXTRA = (ExtraTerm(name="toxicity", metric="tox", cap=0.7),)
NAMES = (*(term.value for term in Term), "toxicity")
RATE = st.one_of(st.floats(0.0, 1.0), st.floats(-1e-9, 0.0), st.floats(1.0, 1.0 + 1e-9))
AMOUNT = st.one_of(st.integers(0, 9), st.floats(0.0, 1e12))
METRICS = {
    "gatePassRate": RATE,
    "contradictions": AMOUNT,
    "grounding": RATE,
    "latencyP95Milliseconds": AMOUNT,
    "securityCriticals": AMOUNT,
    "apiBreakages": AMOUNT,
    "dbMigrationFail": st.booleans(),
    "ragCoverage": RATE,
    "tox": AMOUNT,
}
REPORT = st.fixed_dictionaries({}, optional={**METRICS, "costUSD": AMOUNT})
WEIGHTS = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-9, 1e9)),
    min_size=1,
).filter(lambda weights: any(weights.values()))


def bundle_of(report):
    costs = {"costUSD": report["costUSD"]} if "costUSD" in report else {}
    metrics = {name: value for name, value in report.items() if name != "costUSD"}
    return BundleMetrics(metrics=metrics, costs=costs)


@given(reports=st.lists(REPORT, min_size=1, max_size=20), weights=WEIGHTS)
def test_columns_score_what_each_run_scores_alone(reports, weights):
    by = Yardstick(weights=Weights(by_term=weights), budget=BUDGET, extra=EXTRA)
    alone = [score(bundle_of(report), by) for report in reports]
    values = {
        name: np.array([one.terms.get(name, np.nan) for one in alone], dtype=np.float64)
        for name in NAMES
    }
    together = score_columns(values, by.weights, runs=len(reports))
    assert together.loss.tolist() == [one.loss for one in alone]
    assert together.partial.tolist() == [one.partial for one in alone]
    for place, one in enumerate(alone):
        assert {name: float(it[place]) for name, it in together.shares.items()} == {
            line.term: line.share for line in one.contributions
        }
        told = {name for name, it in together.silent.items() if it[place]}
        assert told == set(one.missing)


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 25),
    data=st.data(),
)
def test_the_sum_is_rounded_once(rows, columns, data):
    numbers = st.one_of(RATE, st.floats(0.0, 1e-30), st.sampled_from([2.0**-53, 2.0**-54, 1.0]))
    found = [
        np.array(data.draw(st.lists(numbers, min_size=rows, max_size=rows)), dtype=np.float64)
        for _ in range(columns)
    ]
    expected = [math.fsum(float(column[row]) for column in found) for row in range(rows)]
    assert rounded_once(found).tolist() == expected


@given(spent=st.floats(0.0, 1e15), budget=st.floats(1e-9, 1e15))
def test_a_budget_is_exceeded_by_the_same_part(spent, budget):
    found = over_budget_column(np.array([spent]), np.array([budget]))
    assert found.tolist() == [over_budget(spent, budget=budget)]


def test_a_term_that_no_run_reports_counts_one():
    weights = Weights(by_term={"grounding": 1.0, "ragCoverage": 3.0})
    found = score_columns({"grounding": np.array([0.0, 1.0])}, weights, runs=2)
    assert found.loss.tolist() == [0.75, 1.0]
    assert found.partial.tolist() == [True, True]

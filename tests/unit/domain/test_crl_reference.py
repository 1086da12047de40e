"""The page that documents the terms says what the code does."""

import re
from math import exp
from pathlib import Path

import pytest

from learnops.domain.crl.score import BundleMetrics, read_terms
from learnops.domain.crl.terms import Term
from learnops.domain.crl.yardstick import Budget

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "crl.md"
ROWS = dict(
    re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
)
REPORTED = {
    "gatePassRate": 0.8,
    "contradictions": 2,
    "grounding": 0.8,
    "latencyP95Milliseconds": 1250,
    "securityCriticals": 2,
    "apiBreakages": 2,
    "dbMigrationFail": True,
    "ragCoverage": 0.8,
}


def test_the_page_has_every_term() -> None:
    assert list(ROWS) == [term.value for term in Term]


@pytest.mark.parametrize("term", [term.value for term in Term])
def test_a_term_is_normalised_as_the_page_says(term: str) -> None:
    bundle = BundleMetrics(metrics=REPORTED, costs={"costUSD": 1.25})
    budget = Budget(cost_usd=1.0, latency_milliseconds=1000.0)
    formula = ROWS[term]
    if scale := re.fullmatch(r"1 − exp\(−count/(\d+)\)", formula):
        expected = 1.0 - exp(-2.0 / int(scale[1]))
    else:
        expected = {"1 − rate": 0.2, "1 or 0": 1.0}.get(formula, 0.25)
    assert read_terms(bundle, budget)[term] == pytest.approx(expected)

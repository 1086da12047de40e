"""One digest for what scores every run alike: only another yardstick begins a generation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.api.crl import CRL, TERMS
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.score import BundleMetrics, score
from learnops.domain.planner.content import crl_digest


def digest(weights: dict[str, str], **budget: Any) -> str:
    """Of a configuration as written."""
    return crl_digest(CRL.model_validate({"weights": weights, "budget": budget}))


TWO = {"grounding": "1", "contradictions": "2"}


@pytest.mark.parametrize(
    "weights",
    [
        {"contradictions": "2", "grounding": "1"},
        {"grounding": "1.0", "contradictions": "2.00"},
        {"grounding": "0.3", "contradictions": "0.6"},
        {**TWO, "ragCoverage": "0"},
    ],
    ids=["another order", "another spelling", "all times 0.3", "a term of weight 0"],
)
def test_weights_that_measure_the_same_have_the_same_digest(weights: dict[str, str]) -> None:
    assert digest(weights) == digest(TWO)


@pytest.mark.parametrize(
    "weights",
    [
        {"grounding": "1", "contradictions": "2.000001"},
        {"grounding": "1"},
        {"grounding": "2", "contradictions": "1"},
        {**TWO, "ragCoverage": "0.000001"},
    ],
)
def test_weights_that_measure_otherwise_have_another_digest(weights: dict[str, str]) -> None:
    assert digest(weights) != digest(TWO)


def test_budgets_are_part_of_it() -> None:
    assert digest(TWO, costUSD="0.00") == digest(TWO)
    assert digest(TWO, costUSD="0.50") == digest(TWO, costUSD="0.5")
    assert digest(TWO, latencyMilliseconds=800) != digest(TWO)
    assert len({digest(TWO, costUSD=cost) for cost in ("0.5", "0.6", "0")}) == 3


def whole(**given: Any) -> str:
    """Of TWO with overrides or extra terms, in the phase "plan"."""
    return crl_digest(CRL.model_validate({"weights": TWO, **given}).in_phase("plan"))


def test_overrides_are_part_of_it_where_they_change_a_weight() -> None:
    acme = {"tenant": "acme", "weights": {"grounding": "5"}}
    assert whole(overrides=[acme]) != whole()
    assert whole(overrides=[{**acme, "weights": TWO}]) == whole()
    assert whole(overrides=[{"phase": "review", "weights": {"grounding": "5"}}]) == whole()
    for_all = whole(overrides=[{"phase": "plan", "weights": {"grounding": "5"}}])
    assert for_all == digest({"grounding": "5", "contradictions": "2"})


def test_extra_terms_are_part_of_it() -> None:
    toxicity = {"name": "toxicity", "metric": "toxicity"}
    assert whole(extraTerms=[toxicity]) != whole()
    assert whole(extraTerms=[toxicity]) == whole(extraTerms=[{**toxicity, "cap": "1.0"}])
    assert whole(extraTerms=[toxicity]) != whole(extraTerms=[{**toxicity, "cap": "2"}])


_WEIGHT = st.sampled_from(("0", "0.0", "0.5", "0.50", "1", "1.0", "2", "3"))
_WEIGHTS = st.dictionaries(st.sampled_from(TERMS), _WEIGHT, min_size=1, max_size=4).filter(
    lambda named: any(float(weight) for weight in named.values())
)
_BUNDLE = BundleMetrics(
    metrics={
        "gatePassRate": 0.9,
        "contradictions": 2,
        "grounding": 0.7,
        "securityCriticals": 1,
        "apiBreakages": 3,
        "dbMigrationFail": True,
        "ragCoverage": 0.4,
    }
)


@given(one=_WEIGHTS, other=_WEIGHTS)
def test_whoever_shares_a_digest_shares_every_loss(
    one: dict[str, str], other: dict[str, str]
) -> None:
    crls = [CRL.model_validate({"weights": weights}) for weights in (one, other)]
    if crl_digest(crls[0]) == crl_digest(crls[1]):
        losses = [score(_BUNDLE, yardsticks(crl).of(None)).loss for crl in crls]
        assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    else:
        shares = [
            {line.term: line.weight / total for line in scored.contributions}
            for crl in crls
            for scored in [score(_BUNDLE, yardsticks(crl).of(None))]
            for total in [sum(line.weight for line in scored.contributions)]
        ]
        assert shares[0] != shares[1]

"""Which terms count where nobody said it, and which of them are missing."""

import pytest

from learnops.api.crl import CRL, CRLWeights
from learnops.api.doer import DoerSpec, DoerStatus
from learnops.domain.crl.configuration import yardsticks
from learnops.domain.crl.defaults import bands, default_weights, missing
from learnops.domain.crl.score import BundleMetrics, score
from learnops.domain.planner.content import crl_digest

THREE = {"grounding": 200, "contradictions": 180, "latencyP95": 195}


def test_an_agent_that_reports_three_terms_is_weighed_by_three() -> None:
    seldom = {"securityCriticals": 179, "toxicity": 200}
    found = default_weights(runs=200, reported={**THREE, **seldom})
    assert found == {"contradictions": "1", "grounding": "1", "latencyP95": "1"}


@pytest.mark.parametrize(
    ("runs", "reported"), [(0, {}), (19, {"grounding": 19}), (20, {"grounding": 17}), (200, {})]
)
def test_too_few_runs_and_silence_decide_nothing(runs: int, reported: dict[str, int]) -> None:
    assert default_weights(runs=runs, reported=reported) is None


def test_a_term_is_missing_from_never_until_a_tenth_of_the_runs_have_it() -> None:
    in_use = ("grounding", "ragCoverage")
    told = [
        missing(in_use, before, runs=100, reported={"grounding": 100, "ragCoverage": runs})
        for before, runs in [((), 1), ((), 0), (("ragCoverage",), 9), (("ragCoverage",), 10)]
    ]
    assert told == [(), ("ragCoverage",), ("ragCoverage",), ()]
    assert missing(("grounding",), ("ragCoverage",), runs=100, reported={"grounding": 100}) == ()


def test_bands_tell_only_what_a_rule_could_decide_otherwise_for() -> None:
    first = bands(runs=200, reported={"grounding": 200, "ragCoverage": 3})
    assert first == bands(runs=200, reported={"grounding": 190, "ragCoverage": 11})
    assert first != bands(runs=200, reported={"grounding": 179, "ragCoverage": 11})
    assert first != bands(runs=200, reported={"grounding": 190})


def test_until_weights_are_known_a_run_is_scored_by_what_it_reports() -> None:
    by = yardsticks(CRL()).of("acme")
    told = score(BundleMetrics(metrics={"grounding": 0.6, "contradictions": 0}), by)
    assert told.loss == pytest.approx(0.2)
    assert {line.term for line in told.contributions} == {"grounding", "contradictions"}
    assert not told.partial
    silent = score(BundleMetrics(metrics={}), by)
    assert (silent.loss, silent.partial, len(silent.missing)) == (1.0, True, 9)


def test_observed_weights_hold_where_the_spec_has_none() -> None:
    status = DoerStatus.model_validate({"crl": {"weights": {"grounding": "1"}}})
    spec = DoerSpec.model_validate({"policyRef": {"name": "v1"}})
    observed = spec.scoring(status)
    assert observed.weights == CRLWeights(grounding="1")
    assert score(BundleMetrics(metrics={}), yardsticks(observed).base).missing == ("grounding",)
    own = {"policyRef": {"name": "v1"}, "crl": {"weights": {"ragCoverage": "1"}}}
    assert DoerSpec.model_validate(own).scoring(status).weights == CRLWeights(rag_coverage="1")
    assert spec.scoring(DoerStatus()).weights is None


def test_weights_that_are_not_known_are_a_yardstick_of_their_own() -> None:
    known = CRL(weights=CRLWeights(grounding="1"))
    assert crl_digest(CRL()) != crl_digest(known)
    assert crl_digest(CRL().weighed(known.weights)) == crl_digest(known)

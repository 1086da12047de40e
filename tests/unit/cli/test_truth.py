"""A simulated run's bundle scores what the truth says, whatever the doer's weights."""

from pathlib import Path
from random import Random
from statistics import fmean, pstdev

import pytest

from learnops.cli.truth import PolicyTruth, TruthError, bundle_of, load_truth
from learnops.domain.crl.score import BundleMetrics, score
from learnops.domain.crl.terms import Term
from learnops.domain.crl.yardstick import Budget, Weights, Yardstick

EXACT = [term.value for term in Term if term is not Term.DB_MIGRATION_FAIL]
ROOT = Path(__file__).parents[3]


def loss_of(loss: float, weights: dict[str, float], seed: int = 0) -> float:
    """What the doer with these weights makes of the run, as ingest reads it."""
    bundle = BundleMetrics(**bundle_of(loss, Random(seed)))
    budget = Budget(cost_usd=77, latency_milliseconds=7)
    result = score(bundle, Yardstick(weights=Weights.of(weights), budget=budget))
    assert not result.partial
    return result.loss


@pytest.mark.parametrize("term", EXACT)
@pytest.mark.parametrize("loss", [0.0, 0.03, 0.5, 0.97])
def test_each_term_alone_is_the_loss(term: str, loss: float) -> None:
    assert loss_of(loss, {term: 2.0}) == pytest.approx(loss, abs=1e-9)


def test_the_yes_or_no_term_has_the_loss_as_its_mean() -> None:
    drawn = [loss_of(0.3, {"dbMigrationFail": 1.0}, seed) for seed in range(2000)]
    assert set(drawn) == {0.0, 1.0}
    assert fmean(drawn) == pytest.approx(0.3, abs=0.05)


def test_a_loss_of_one_is_nearly_reached_and_never_passed() -> None:
    assert 0.99 < loss_of(1.0, dict.fromkeys(EXACT, 1.0)) <= 1.0


def test_draws_have_the_mean_and_spread() -> None:
    truth, random = PolicyTruth(loss=0.3, spread=0.15), Random(1)
    drawn = [truth.draw(random) for _ in range(20_000)]
    assert fmean(drawn) == pytest.approx(0.3, abs=0.005)
    assert pstdev(drawn) == pytest.approx(0.15, abs=0.005)
    assert PolicyTruth(loss=0.3, spread=0).draw(random) == 0.3


def test_the_example_is_readable() -> None:
    truth = load_truth(ROOT / "examples/demo/truth.yaml")
    assert truth["planner-v2"].loss < truth["planner-v1"].loss < truth["planner-v3"].loss


def test_a_term_may_have_a_mean_of_its_own() -> None:
    truth, random = PolicyTruth(loss=0.4, spread=0.1, terms={"grounding": 0.85}), Random(1)
    drawn = [truth.draw_terms(random)["grounding"] for _ in range(2_000)]
    assert fmean(drawn) == pytest.approx(0.85, abs=0.01)
    bundle = BundleMetrics(**bundle_of(0.4, random, terms={"grounding": 0.9}))
    weights = {"gatePassRate": 4.0, "contradictions": 4.0, "grounding": 1.0}
    result = score(
        bundle,
        Yardstick(weights=Weights.of(weights), budget=Budget(cost_usd=77, latency_milliseconds=7)),
    )
    assert result.loss == pytest.approx((8 * 0.4 + 0.9) / 9)


@pytest.mark.parametrize("term", EXACT)
def test_each_term_can_be_told_apart_from_the_loss(term: str) -> None:
    bundle = BundleMetrics(**bundle_of(0.2, Random(1), terms={term: 0.7}))
    budget = Budget(cost_usd=77, latency_milliseconds=7)
    assert score(
        bundle, Yardstick(weights=Weights.of({term: 1.0}), budget=budget)
    ).loss == pytest.approx(0.7)


def test_the_demo_hides_a_broken_term_behind_an_equal_loss() -> None:
    truth = load_truth(ROOT / "examples/demo/truth.yaml")
    before, broken = truth["reviewer-v1"], truth["reviewer-v2"]
    assert (8 * broken.loss + broken.terms["grounding"]) / 9 == pytest.approx(before.loss)


BAD = {
    "policies: {a: {loss: 0.3, spred: 1}}": "policies.a.spred is unknown",
    "policies: {a: {spread: 0.3}}": "policies.a.loss is missing",
    "policies: {a: {loss: 1}}": "policies.a.loss is 1; use a number between 0 and 1",
    "policies: {a: {loss: .nan}}": "policies.a.loss is nan, not a number",
    "policies: {a: {loss: low}}": "policies.a.loss is 'low', not a number",
    "policies: {a: {loss: 0.5, spread: 0.5}}": "policies.a.spread is 0.5",
    "policies: {a: {loss: 0.5, slowSeconds: -1}}": "policies.a.slow_seconds is -1; use 0 or more",
    "policies: {a: {loss: 0.5, slow: 0.6, crash: 0.6}}": "together at most 1",
    "policies: {a: {loss: 0.5, terms: {truth: 0.5}}}": "policies.a.terms.truth is unknown; known",
    "policies: {a: {loss: 0.5, terms: {grounding: 1}}}": "terms.grounding is 1; use a number betw",
    "policies: {a: {loss: 0.5, terms: {grounding: x}}}": "terms.grounding is 'x', not a number",
    "policies: {a: {loss: 0.5, terms: 3}}": "policies.a.terms must be a map of terms",
    "policies: []": "needs `policies`",
    "a: [": "cannot be read",
    "": "needs `policies`",
}


@pytest.mark.parametrize("text", BAD)
def test_a_wrong_truth_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "truth.yaml"
    path.write_text(text)
    with pytest.raises(TruthError) as caught:
        load_truth(path)
    assert BAD[text] in str(caught.value)


def test_a_missing_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match=r"none\.yaml cannot be read"):
        load_truth(tmp_path / "none.yaml")

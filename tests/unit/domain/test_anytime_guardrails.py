"""The rows beside the loss: futility, guardrails, several candidates, the confidence sequence."""

import itertools
import json

import numpy as np
import pytest

from learnops.domain.evidence import anytime, betting, hypotheses
from learnops.domain.evidence import types as evidence_types
from tests.unit.domain.simulate import observations, rows

NINE = tuple(evidence_types.GuardrailTest(term=f"term{k}") for k in range(9))
GUARDED = evidence_types.TestPlan(guardrails=NINE)
FULL = evidence_types.TestPlan.for_canary(
    promote_level=0.05,
    margin=0.0,
    rollback_level=0.05,
    tolerance=None,
    attempt=1,
    gated_shares=(5.0, 10.0, 25.0),
    futility=evidence_types.FutilityTest(min_improvement=0.02),
    guardrails=NINE,
    interval=True,
)
FUTILE = evidence_types.TestPlan(futility=evidence_types.FutilityTest(min_improvement=0.02))


def guarded(rng, *, runs, propensity, difference=0.0, broken=None, rate=0.05, worse=0.15):
    """Nine two-point terms; the one at index ``broken`` is worse in the candidate's runs."""
    log = observations(rng, runs=runs, propensity=propensity, difference=difference)
    chance = np.full((runs, len(NINE)), rate)
    if broken is not None:
        chance[log.is_candidate, broken] = worse
    terms = (rng.random((runs, len(NINE))) < chance).astype(float)
    return with_columns(log, terms=terms)


def with_columns(log, **columns):
    names = ("seq", "is_candidate", "propensity", "loss", "void", "terms", "is_other")
    given = {name: getattr(log, name) for name in (*names, "control_propensity")}
    return evidence_types.Observations(**(given | columns))


def three_arms(rng, *, runs, share=0.2, differences=(0.0, 0.0), losses=0.3):
    """Logs of candidates 1 and 2 against control, from one stream of draws."""
    arm = rng.choice(3, size=runs, p=[1 - 2 * share, share, share])
    mean = np.array([0.0, *differences])[arm]
    loss = np.clip(rng.beta(2.5, 35 / 6, runs) + mean, 0.0, 1.0)
    return [
        evidence_types.Observations(
            seq=np.arange(1, runs + 1),
            is_candidate=arm == k,
            propensity=np.full(runs, share),
            loss=loss,
            is_other=(arm != k) & (arm != 0),
            control_propensity=np.full(runs, 1 - 2 * share),
        )
        for k in (1, 2)
    ]


def judged(plan, log):
    return anytime.advance(anytime.start(plan), log).evidence()


@pytest.mark.parametrize("pi", [0.01, 0.1, 0.5, 0.8])
@pytest.mark.parametrize("pi_0", [0.05, 0.2, None])
@pytest.mark.parametrize("m", [0.0, 0.37, 1.0])
def test_mean_of_each_factor_of_each_row_is_one_under_equality(pi, pi_0, m):
    """Every row of a plan with everything on, in an A/B/n draw too (None: two arms)."""
    other = 1 - pi if pi_0 is None else pi_0
    if pi + other > 1:
        other = 1 - pi
    tests = hypotheses.Tests.of(FULL)
    control_mean = 0.5
    shape = np.full((tests.streams, 1), m)
    one, zero = np.array([pi]), np.array([other])
    b = betting.bounds(tests, m=shape, propensity=one, other=zero)
    control = None if pi_0 is None else zero
    totals = np.full((2, len(tests), 1), 40.0)
    stake = anytime.adaptive_bet(totals, propensity=one, bound=b, control=control)
    for row in range(len(tests)):
        mean_c = control_mean + float(tests.margin[row])
        outcomes = [
            (pi * mean_c, (1 - m) / pi),
            (pi * (1 - mean_c), -m / pi),
            (other * control_mean, -(1 - m) / other),
            (other * (1 - control_mean), m / other),
            (1 - pi - other, 0.0),
        ]
        chance, scores = np.array(outcomes).T
        g = betting.payoffs(tests, np.tile(scores, (tests.streams, 1)))[row]
        for bet in (*(betting.FRACTIONS / b[row, 0]), stake[row, 0]):
            factors = 1.0 + bet * g
            assert factors.min() > 0.0
            assert abs(float(chance @ factors) - 1.0) < 1e-12


def test_rows_that_a_plan_adds_change_nothing_of_the_others():
    rng = np.random.default_rng(1)
    log = guarded(rng, runs=700, propensity=0.25, difference=-0.05)
    bare = anytime.advance(anytime.start(evidence_types.TestPlan()), with_columns(log, terms=None))
    full = anytime.advance(
        anytime.start(evidence_types.TestPlan(guardrails=NINE, interval=True)), log
    )
    np.testing.assert_array_equal(full.logs[:, :2], bare.logs)
    assert full.evidence().promote == bare.evidence().promote
    assert full.evidence().candidate_loss == bare.evidence().candidate_loss


def test_reading_in_pieces_and_through_json_is_bit_for_bit_reading_at_once():
    rng = np.random.default_rng(2)
    log = guarded(rng, runs=1205, propensity=0.25, difference=0.02, broken=4)
    whole = anytime.advance(anytime.start(FULL), log)
    state, read = anytime.start(FULL), 0
    for size in itertools.cycle((1, 7, 10, 33, 250)):
        cut = slice(state.watermark, min(read + size, len(log)))
        piece = rows(log, cut.start, cut.stop)
        state = anytime.advance(state, with_columns(piece, terms=log.terms[cut]))
        state = anytime.EngineState.from_dict(json.loads(json.dumps(state.to_dict())), plan=FULL)
        read = cut.stop
        if read == len(log):
            break
    assert state.to_dict() == whole.to_dict()
    assert state.evidence() == whole.evidence()
    assert state.evidence().culprit == "term4"


def test_the_state_without_the_interval_stays_within_four_kilobytes():
    plan = evidence_types.TestPlan.for_canary(
        promote_level=0.05,
        margin=0.0,
        rollback_level=0.05,
        tolerance=None,
        attempt=1,
        gated_shares=(5.0, 10.0, 25.0),
        futility=evidence_types.FutilityTest(min_improvement=0.02),
        guardrails=NINE,
    )
    log = guarded(np.random.default_rng(3), runs=10_000, propensity=0.1)
    data = anytime.advance(anytime.start(plan), log).to_dict()
    data.pop("plan")  # the canary's own spec
    assert len(json.dumps(data, separators=(",", ":"))) <= 4096


def test_a_candidate_that_is_no_better_is_futile_and_a_better_one_is_not():
    rng = np.random.default_rng(4)
    worse = [
        judged(FUTILE, observations(rng, runs=4000, propensity=0.5, difference=0.05))
        for _ in range(40)
    ]
    assert all(it.futility.crossed for it in worse)
    better = [
        judged(FUTILE, observations(rng, runs=4000, propensity=0.5, difference=-0.05))
        for _ in range(100)
    ]
    assert np.mean([it.futility.crossed for it in better]) <= 0.10
    assert np.mean([it.promote.crossed for it in better]) >= 0.95


def test_a_plan_without_futility_has_none():
    log = observations(np.random.default_rng(4), runs=500, propensity=0.5, difference=0.3)
    assert judged(evidence_types.TestPlan(), log).futility is None


def test_a_broken_term_rolls_back_and_is_named():
    rng = np.random.default_rng(5)
    found, after = [], []
    for _ in range(60):
        log = guarded(rng, runs=6000, propensity=0.1, broken=6)
        evidence = judged(GUARDED, log)
        assert evidence.rollback.crossed
        found.append(evidence.culprit)
        after.append(int(log.is_candidate[: evidence.rollback.crossed_at].sum()))
    assert np.mean([it == "term6" for it in found]) >= 0.95
    assert np.median(after) <= 150


def test_guardrails_that_are_no_worse_rarely_roll_back():
    rng = np.random.default_rng(6)
    called = [
        judged(GUARDED, guarded(rng, runs=3000, propensity=0.1)).rollback.crossed
        for _ in range(150)
    ]
    assert np.mean(called) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)


def test_the_loss_is_the_culprit_where_only_the_loss_is_worse():
    log = guarded(np.random.default_rng(7), runs=3000, propensity=0.5, difference=0.2)
    assert judged(GUARDED, log).culprit == "loss"


def test_the_culprit_is_latched_with_the_crossing():
    rng = np.random.default_rng(8)
    bad = guarded(rng, runs=2000, propensity=0.5, broken=2, worse=0.9)
    state = anytime.advance(anytime.start(GUARDED), bad)
    assert state.evidence().culprit == "term2"
    later = guarded(rng, runs=4000, propensity=0.5, difference=0.5)
    state = anytime.advance(state, with_columns(later, seq=later.seq + 2000))
    assert state.evidence().culprit == "term2"


def test_each_guardrail_is_shown_to_be_no_worse_by_its_margin():
    log = guarded(np.random.default_rng(9), runs=6000, propensity=0.5, difference=-0.05)
    evidence = judged(GUARDED, log)
    assert all(it.promote.crossed for it in evidence.guardrails)
    assert [it.term for it in evidence.guardrails] == [it.term for it in NINE]
    in_candidate = log.terms[log.is_candidate]
    assert evidence.guardrails[3].candidate_mean == pytest.approx(in_candidate[:, 3].mean())


def test_of_two_candidates_the_worse_is_rolled_back_and_the_better_promoted():
    plan = evidence_types.TestPlan(candidates=2)
    logs = three_arms(np.random.default_rng(10), runs=4000, differences=(-0.08, 0.15))
    better, worse = (judged(plan, log) for log in logs)
    assert (better.promote.crossed, better.rollback.crossed) == (True, False)
    assert (worse.promote.crossed, worse.rollback.crossed) == (False, True)
    assert better.runs == int((~logs[0].is_other).sum())
    one = evidence_types.TestPlan()
    assert better.promote.log_threshold == pytest.approx(
        judged(
            one, observations(np.random.default_rng(1), runs=10, propensity=0.5)
        ).promote.log_threshold
        + np.log(2)
    )


def test_of_two_worthless_candidates_hardly_any_is_ever_called():
    plan = evidence_types.TestPlan(candidates=2)
    rng = np.random.default_rng(11)
    promoted = rolled = 0
    for _ in range(150):
        found = [judged(plan, log) for log in three_arms(rng, runs=2500)]
        promoted += any(it.promote.crossed for it in found)
        rolled += any(it.rollback.crossed for it in found)
    most = 150 * (0.05 + 2 * np.sqrt(0.05 * 0.95 / 150))
    assert promoted <= most
    assert rolled <= most


def test_the_interval_holds_the_difference_and_narrows():
    plan = evidence_types.TestPlan(interval=True)
    rng = np.random.default_rng(12)
    outside = 0
    for _ in range(60):
        found = judged(plan, observations(rng, runs=3000, propensity=0.5, difference=0.08))
        assert found.difference.low <= found.difference.estimate <= found.difference.high
        # Clipping at 1 takes nothing of a beta with mean 0.30 worth mentioning.
        outside += not found.difference.low <= 0.08 <= found.difference.high
    assert outside <= 60 * 0.05 + 2 * np.sqrt(60 * 0.05 * 0.95)
    short = judged(plan, observations(rng, runs=50, propensity=0.5, difference=0.08))
    assert short.difference.high - short.difference.low > found.difference.high - (
        found.difference.low
    )
    assert found.difference.estimate == pytest.approx(0.08, abs=0.05)


def test_there_is_no_interval_before_the_first_block_nor_without_asking():
    log = observations(np.random.default_rng(13), runs=9, propensity=0.5)
    assert judged(evidence_types.TestPlan(interval=True), log).difference is None
    longer = observations(np.random.default_rng(13), runs=90, propensity=0.5)
    assert judged(evidence_types.TestPlan(), longer).difference is None

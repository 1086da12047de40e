"""The verdict on a whole log: the first block decides, within it the order of the rules."""

from dataclasses import replace

import numpy as np
import pytest

from learnops.api.canary import Verdict
from learnops.api.rollout import OnInconclusive
from learnops.domain.evidence import anytime, verdict
from learnops.domain.evidence import types as evidence_types
from learnops.domain.evidence.ruling import Limits
from tests.unit.domain.simulate import observations, rows

LIMITS = Limits(min_candidate_runs=50, max_runs=1_000_000)
PLAN = evidence_types.TestPlan(interval=True)


def log(seed, *, runs=3000, propensity=0.25, difference=0.0, **more):
    rng = np.random.default_rng(seed)
    return observations(rng, runs=runs, propensity=propensity, difference=difference, **more)


def with_term(plain, values):
    return evidence_types.Observations(
        seq=plain.seq,
        is_candidate=plain.is_candidate,
        propensity=plain.propensity,
        loss=plain.loss,
        terms=np.asarray(values, dtype=float)[:, None],
    )


@pytest.mark.parametrize(
    ("difference", "expected", "reason"),
    [(-0.1, "Promote", "Better"), (0.1, "Rollback", "Worse"), (0.0, "Continue", "Progressing")],
)
def test_what_a_log_says(difference, expected, reason):
    found = verdict.judge(PLAN, LIMITS, log(1, difference=difference))
    assert (found.verdict.value, found.reason) == (expected, reason)


def test_a_verdict_falls_where_a_look_after_each_block_would_have_seen_it():
    given = log(2, difference=-0.06)
    found = verdict.judge(PLAN, LIMITS, given)
    state = anytime.start(PLAN)
    for end in range(10, len(given) + 1, 10):
        state = anytime.advance(state, rows(given, end - 10, end))
        seen = state.evidence()
        if seen.promote.crossed and seen.candidate_runs >= LIMITS.min_candidate_runs:
            break
    assert found.runs == end
    assert found.evidence == seen
    assert found.candidate_runs == seen.candidate_runs


def test_promotion_waits_for_candidate_runs_and_roll_back_does_not():
    patient = Limits(min_candidate_runs=400, max_runs=1_000_000)
    found = verdict.judge(PLAN, patient, log(3, difference=-0.1))
    assert found.verdict is Verdict.PROMOTE
    assert found.candidate_runs >= 400
    assert verdict.judge(PLAN, patient, log(3, difference=0.2)).candidate_runs < 100


def test_max_runs_hold_what_is_undecided():
    short = Limits(min_candidate_runs=50, max_runs=500)
    found = verdict.judge(PLAN, short, log(4))
    assert (found.verdict.value, found.reason, found.runs) == ("Hold", "NoVerdict", 500)


def test_futility_comes_before_promotion_and_after_nothing():
    plan = evidence_types.TestPlan(futility=evidence_types.FutilityTest(min_improvement=0.02))
    found = verdict.judge(plan, LIMITS, log(5, difference=0.03, runs=6000, propensity=0.5))
    assert found.verdict in (Verdict.FUTILE, Verdict.ROLLBACK)
    at = anytime.advance(anytime.start(plan), log(5, difference=0.03, runs=6000, propensity=0.5))
    first = min(
        it.crossed_at
        for it in (at.evidence().futility, at.evidence().rollback)
        if it.crossed_at is not None
    )
    assert found.runs == first


def test_a_split_that_is_not_as_planned_holds_a_promotion_and_no_roll_back():
    rng = np.random.default_rng(6)
    for difference, expected in ((-0.1, "Hold"), (0.2, "Rollback")):
        skewed = observations(rng, runs=4000, propensity=0.4, difference=difference)
        told = evidence_types.Observations(
            seq=skewed.seq,
            is_candidate=skewed.is_candidate,
            propensity=np.full(4000, 0.25),
            loss=skewed.loss,
        )
        patient = Limits(min_candidate_runs=600, max_runs=1_000_000)
        found = verdict.judge(PLAN, patient, told)
        assert found.verdict.value == expected
        if expected == "Hold":
            assert found.reason == "SampleRatioMismatch"
            assert found.ratio.alarm


def test_one_breach_too_many_rolls_back_at_that_run():
    plan = evidence_types.TestPlan(
        guardrails=(evidence_types.GuardrailTest(term="securityCriticals"),)
    )
    plain = log(7, runs=500)
    values = np.zeros(500)
    candidates = np.flatnonzero(plain.is_candidate)
    values[candidates[[1, 3, 5]]] = 0.5
    values[np.flatnonzero(~plain.is_candidate)[:50]] = 0.5  # control's do not count
    given = with_term(plain, values)
    borne = Limits(min_candidate_runs=50, max_runs=10_000, breaches=(2,))
    found = verdict.judge(plan, borne, given)
    assert (found.reason, found.culprit) == ("GuardrailBreached", "securityCriticals")
    assert found.runs == candidates[5] + 1
    more = Limits(min_candidate_runs=50, max_runs=10_000, breaches=(3,))
    assert verdict.judge(plan, more, given).reason != "GuardrailBreached"


def test_a_guardrail_that_is_not_shown_holds_the_promotion_back():
    plan = evidence_types.TestPlan(guardrails=(evidence_types.GuardrailTest(term="x"),))
    rng = np.random.default_rng(8)
    plain = log(9, runs=2000, difference=-0.1, propensity=0.5)
    noisy = (rng.random(2000) < np.where(plain.is_candidate, 0.54, 0.5)).astype(float)
    found = verdict.judge(plan, LIMITS, with_term(plain, noisy))
    alone = verdict.judge(evidence_types.TestPlan(), LIMITS, plain)
    assert alone.verdict is Verdict.PROMOTE
    assert (found.verdict, found.runs) == (Verdict.CONTINUE, len(plain))


def test_a_log_shorter_than_a_block_says_nothing():
    found = verdict.judge(PLAN, LIMITS, log(10, runs=9))
    assert (found.verdict.value, found.runs, found.candidate_runs) == ("Continue", 0, 0)


def several(seed, *, runs, others):
    """A candidate with a quarter of the traffic, and as much for each of the others."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(others + 2, runs, p=[1 - 0.25 * (others + 1), *[0.25] * (others + 1)])
    return evidence_types.Observations(
        seq=np.arange(1, runs + 1),
        is_candidate=drawn == 1,
        propensity=np.full(runs, 0.25),
        loss=rng.beta(2.5, 35 / 6, runs),
        is_other=drawn > 1,
        control_propensity=np.full(runs, 0.75 - 0.25 * others),
    )


def test_max_runs_count_every_arm():
    plan = evidence_types.TestPlan(candidates=3)
    found = verdict.judge(
        plan, Limits(min_candidate_runs=50, max_runs=500), several(11, runs=1500, others=2)
    )
    assert (found.verdict.value, found.reason, found.runs) == ("Hold", "NoVerdict", 500)
    assert found.evidence.all_runs == 500
    assert found.evidence.runs < 300  # of control and of this candidate


def test_withdrawn_runs_are_no_runs_of_max_runs():
    plain = log(12, runs=1000)
    given = replace(plain, void=np.arange(1000) % 10 == 0)
    found = verdict.judge(PLAN, Limits(min_candidate_runs=50, max_runs=450), given)
    assert (found.reason, found.runs, found.evidence.all_runs) == ("NoVerdict", 500, 450)


def skewed(seed, *, runs, sound_after):
    """Drawn with 0.4 where 0.25 was meant, for a while."""
    rng = np.random.default_rng(seed)
    told = observations(rng, runs=runs, propensity=0.25)
    candidate = np.where(np.arange(runs) < sound_after, rng.random(runs) < 0.4, told.is_candidate)
    return replace(told, is_candidate=candidate)


def test_a_split_that_is_not_as_planned_stands_before_max_runs():
    limits = Limits(min_candidate_runs=50, max_runs=600)
    found = verdict.judge(PLAN, limits, skewed(13, runs=1000, sound_after=1000))
    assert (found.verdict.value, found.reason) == ("Hold", "SampleRatioMismatch")
    assert found.runs == 1000  # nothing fell; it is held to this day
    healed = verdict.judge(PLAN, limits, skewed(13, runs=6000, sound_after=600))
    assert healed.reason == "NoVerdict"
    assert healed.runs > 600
    assert not healed.ratio.alarm


def test_what_holds_at_max_runs_is_decided_by_later_runs():
    told = log(14, difference=-0.06)
    at = verdict.judge(PLAN, LIMITS, told).runs
    early = Limits(min_candidate_runs=50, max_runs=at - 20)
    assert verdict.judge(PLAN, early, told).reason == "NoVerdict"
    held = replace(early, on_inconclusive=OnInconclusive.HOLD)
    before = verdict.judge(PLAN, held, rows(told, 0, at - 10))
    assert (before.verdict.value, before.reason, before.runs) == ("Hold", "Inconclusive", at - 10)
    found = verdict.judge(PLAN, held, told)
    assert (found.reason, found.runs) == ("Better", at)

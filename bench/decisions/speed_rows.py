"""Rows 3, 4, 5, 11, 12 and 15: how soon a right decision comes."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Any

import numpy as np

from bench.decisions import sums
from bench.decisions.canaries import Called, Truth, call, many
from bench.decisions.row import Part, Play, Row, Say
from bench.figure import Figure
from learnops.domain.evidence import sample_ratio
from learnops.domain.evidence.types import FutilityTest, GuardrailTest, TestPlan

PLAIN = TestPlan()
FUTILE = TestPlan(futility=FutilityTest(min_improvement=0.02))
INFERIOR = TestPlan(margin=0.02, tolerance=0.02)
NINE = TestPlan(guardrails=tuple(GuardrailTest(term=f"term{k}") for k in range(9)))
_EQUAL = ((0.05, 0.05),) * 9
_BROKEN = (*_EQUAL[:8], (0.05, 0.15))
_LOOK_RUNS = 50


def _part(plan: TestPlan, truth: Truth, say: Say, *, full: int = 1_000, fast: int = 60) -> Part:
    def play(rng: np.random.Generator, canaries: int) -> list[Any]:
        return many(rng, canaries=canaries, plan=plan, truth=truth)

    return Part(play=play, say=say, full=full, fast=fast)


def _promoted(name: str, *, at_least: float, median: float) -> Say:
    def say(called: Sequence[Called]) -> list[Figure]:
        runs = [it.promoted for it in called]
        return [
            sums.percent(f"{name}: promoted", [isfinite(it) for it in runs], at_least=at_least),
            sums.quantile(f"{name}: until promoted, median", runs, unit="runs", at_most=median),
        ]

    return say


def _given_up(name: str, *, median: float) -> Say:
    def say(called: Sequence[Called]) -> list[Figure]:
        runs = [it.candidate_runs if isfinite(it.lost) else inf for it in called]
        what = f"{name}: candidate runs until rolled back"
        return [
            sums.quantile(f"{what}, median", runs, unit="runs", at_most=median),
            sums.quantile(f"{what}, p90", runs, unit="runs", q=0.9, at_most=60),
        ]

    return say


def _futile(called: Sequence[Called]) -> list[Figure]:
    runs = [it.candidate_runs if isfinite(it.lost) else inf for it in called]
    name = "0.05 worse, futility 0.02, 10%: candidate runs until given up, mean"
    return [sums.mean(name, runs, unit="runs", at_most=60)]


def _inferior(called: Sequence[Called]) -> list[Figure]:
    promoted = [isfinite(it.promoted) for it in called]
    return [sums.percent("margin 0.02, 0.02 worse, 50%: promoted", promoted, at_most=5.0)]


def _equal_guardrails(called: Sequence[Called]) -> list[Figure]:
    rolled = [isfinite(it.rolled_back) for it in called]
    return [sums.percent("9 guardrails, none worse, 10%: rolled back", rolled, at_most=5.0)]


def _broken_guardrail(called: Sequence[Called]) -> list[Figure]:
    name = "one of 9 guardrails 0.05 → 0.15, 10%"
    runs = [it.candidate_runs if isfinite(it.rolled_back) else inf for it in called]
    named = [it.culprit == "term8" for it in called if it.culprit is not None]
    return [
        sums.percent(f"{name}: rolled back", [isfinite(it) for it in runs], at_least=99.0),
        sums.quantile(f"{name}: candidate runs, median", runs, unit="runs", at_most=150),
        sums.percent(f"{name}: culprit named rightly", named),
    ]


def _composite_alone(called: Sequence[Called]) -> list[Figure]:
    rolled = [isfinite(it.rolled_back) for it in called]
    name = "the same term in a loss of nine equal terms, no guardrails: rolled back"
    return [sums.percent(name, rolled)]


def _composite(rng: np.random.Generator, canaries: int) -> list[Any]:
    """The loss is the mean of the nine terms, so one broken term moves it by 0.011."""
    truth = Truth(propensity=0.10, guardrails=_BROKEN)
    called = []
    for _ in range(canaries):
        log = truth.draw(rng)
        assert log.terms is not None
        called.append(call(PLAIN, replace(log, loss=log.terms.mean(axis=1), terms=None)))
    return called


def _alarms(planned: float, real: float, *, runs: int) -> Play:
    """The run at which the sample ratio first alarmed, looked at every 50 runs."""

    def play(rng: np.random.Generator, canaries: int) -> list[Any]:
        return [_alarm_after(rng, planned=planned, real=real, runs=runs) for _ in range(canaries)]

    return play


def _alarm_after(rng: np.random.Generator, *, planned: float, real: float, runs: int) -> float:
    log = replace(Truth(runs=runs, propensity=real).draw(rng), propensity=np.full(runs, planned))
    state, completed = sample_ratio.SampleRatioState(), np.ones(_LOOK_RUNS, dtype=np.bool_)
    for first in range(0, runs, _LOOK_RUNS):
        cut = slice(first, first + _LOOK_RUNS)
        piece = replace(
            log,
            seq=log.seq[cut],
            is_candidate=log.is_candidate[cut],
            propensity=log.propensity[cut],
            loss=log.loss[cut],
        )
        state = sample_ratio.advance(state, piece, completed=completed)
        if state.result().alarm:
            return first + _LOOK_RUNS
    return inf


def _as_planned(runs: Sequence[float]) -> list[Figure]:
    name = "10% planned and real, 10,000 runs: alarmed"
    return [sums.percent(name, [isfinite(it) for it in runs], at_most=1.0)]


def _not_as_planned(runs: Sequence[float]) -> list[Figure]:
    name = "10% planned, 15% real"
    return [
        sums.percent(f"{name}: alarmed", [isfinite(it) for it in runs], at_least=99.0),
        sums.quantile(f"{name}: runs until the alarm, median", runs, unit="runs", at_most=900),
    ]


ROWS = (
    Row(
        number=3,
        title="0.05 better",
        parts=(
            _part(
                PLAIN,
                Truth(difference=-0.05),
                _promoted("0.05 better, 50%", at_least=99.0, median=600),
            ),
            _part(
                PLAIN,
                Truth(difference=-0.05, propensity=0.10),
                _promoted("0.05 better, 10%", at_least=98.0, median=1_300),
            ),
        ),
    ),
    Row(
        number=4,
        title="worse, at 10 %",
        parts=(
            _part(
                PLAIN,
                Truth(difference=0.10, propensity=0.10, runs=3_000),
                _given_up("0.10 worse, 10%", median=35),
            ),
            _part(
                PLAIN,
                Truth(difference=0.20, propensity=0.10, runs=3_000),
                _given_up("0.20 worse, 10%", median=20),
            ),
            _part(FUTILE, Truth(difference=0.05, propensity=0.10), _futile),
        ),
    ),
    Row(
        number=5,
        title="not worse by more than 0.02",
        parts=(
            _part(INFERIOR, Truth(difference=0.02), _inferior),
            _part(
                INFERIOR,
                Truth(),
                _promoted("margin 0.02, no difference, 50%", at_least=95.0, median=2_200),
            ),
        ),
    ),
    Row(
        number=11,
        title="nine guardrails",
        parts=(
            _part(NINE, Truth(propensity=0.10, guardrails=_EQUAL), _equal_guardrails, fast=40),
            _part(NINE, Truth(propensity=0.10, guardrails=_BROKEN), _broken_guardrail, fast=40),
            Part(play=_composite, say=_composite_alone, full=1_000, fast=40),
        ),
    ),
    Row(
        number=12,
        title="sample ratio",
        parts=(
            Part(play=_alarms(0.10, 0.10, runs=10_000), say=_as_planned, full=2_000, fast=100),
            Part(play=_alarms(0.10, 0.15, runs=5_000), say=_not_as_planned, full=1_000, fast=60),
        ),
    ),
    Row(
        number=15,
        title="0.05 better, nine equal guardrails with the default margin",
        parts=(
            _part(
                NINE,
                Truth(difference=-0.05, guardrails=_EQUAL),
                _promoted("0.05 better, 9 equal guardrails, 50%", at_least=95.0, median=1_800),
                fast=40,
            ),
        ),
    ),
)

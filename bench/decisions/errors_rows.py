"""Rows 1, 2, 6, 10 and 16: how often a decision is wrong."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from bench.decisions import naive, sums
from bench.decisions.canaries import Called, Truth, call, many
from bench.decisions.families import FAMILIES, Draw, Floats, two_point
from bench.decisions.row import Part, Row, Say
from bench.figure import Figure
from learnops.domain.evidence.types import TestPlan

PLAIN = TestPlan()
_RETRIES = 30
_RETRY_RUNS = 3_000
_DRIFT_RUNS = 2_000
_RAMP = np.concatenate((np.repeat([0.05, 0.10, 0.25], 500), np.full(8_500, 0.50)))


def _rates(
    name: str,
    *,
    promoted: dict[str, float] | None = None,
    rolled_back: dict[str, float] | None = None,
) -> Say:
    """How many of the canaries were ever promoted, ever rolled back; each with its bound."""

    def say(called: Sequence[Called]) -> list[Figure]:
        up, down = promoted or {"at_most": 5.0}, rolled_back or {"at_most": 5.0}
        return [
            sums.percent(f"{name}: promoted", [isfinite(it.promoted) for it in called], **up),
            sums.percent(
                f"{name}: rolled back", [isfinite(it.rolled_back) for it in called], **down
            ),
        ]

    return say


def _plain(truth: Truth, say: Say, *, full: int, fast: int) -> Part:
    def play(rng: np.random.Generator, canaries: int) -> list[Any]:
        return many(rng, canaries=canaries, plan=PLAIN, truth=truth)

    return Part(play=play, say=say, full=full, fast=fast)


def _family(name: str, draw: Draw, share: float) -> Part:
    truth = Truth(propensity=share, losses=draw)
    return _plain(truth, _rates(f"no difference, {name}, {share:.0%}"), full=2_000, fast=60)


def _naive(name: str, draw: Draw, share: float) -> Part:
    """The same logs as others would judge them: no bound is asked for, it is there to compare."""
    truth = Truth(propensity=share, losses=draw)

    def play(rng: np.random.Generator, canaries: int) -> list[Any]:
        logs = (truth.draw(rng) for _ in range(canaries))
        return [(naive.welch_at_each_look(log), naive.thresholds(log)) for log in logs]

    def say(found: Sequence[Any]) -> list[Figure]:
        where = f"no difference, {name}, {share:.0%}"
        rules = {"Welch test, looked at every 50 runs": 0, "five bad intervals of twenty": 1}
        return [
            sums.percent(f"{where}: {what} by {rule}", [it[index][side] for it in found])
            for rule, index in rules.items()
            for side, what in enumerate(("promoted", "rolled back"))
        ]

    return Part(play=play, say=say, full=2_000, fast=60)


def _rare(rate: float, share: float) -> Part:
    truth = Truth(propensity=share, losses=two_point(rate))
    only_promoted = {"at_most": 5.0}
    name = f"no difference, failures of {rate:.1%}, {share:.0%}"
    return _plain(truth, _rates(name, promoted=only_promoted), full=2_000, fast=60)


def _drift(change: float) -> Floats:
    """Linear over the ramp, then constant."""
    return np.concatenate(
        (np.linspace(0.0, change, _DRIFT_RUNS), np.full(len(_RAMP) - _DRIFT_RUNS, change))
    )


def _drifting(change: float) -> Part:
    truth = Truth(propensity=_RAMP, drift=_drift(change))
    return _plain(
        truth, _rates(f"ramp, both drift {change:+.2f}, no difference"), full=1_000, fast=60
    )


def _drifting_worse() -> Part:
    truth = Truth(propensity=_RAMP, drift=_drift(-0.12), difference=0.03)
    say = _rates(
        "ramp, both drift -0.12, 0.03 worse",
        promoted={"at_most": 1.0},
        rolled_back={"at_least": 97.0},
    )
    return _plain(truth, say, full=1_000, fast=60)


def _pooled_drift() -> Part:
    truth = Truth(propensity=_RAMP, drift=_drift(-0.12))

    def play(rng: np.random.Generator, canaries: int) -> list[Any]:
        return [naive.welch_at_each_look(truth.draw(rng)) for _ in range(canaries)]

    def say(found: Sequence[Any]) -> list[Figure]:
        name = "ramp, both drift -0.12, no difference: wrong either way by Welch on pooled means"
        return [sums.percent(name, [any(it) for it in found])]

    return Part(play=play, say=say, full=1_000, fast=60)


def _better_median_worse_mean(rng: np.random.Generator, canaries: int) -> list[Any]:
    """Most runs of the candidate are 0.03 better, one in twelve loses everything."""
    called = []
    for _ in range(canaries):
        log = Truth(propensity=0.5).draw(rng)
        better = np.clip(log.loss - 0.03, 0.0, 1.0)
        broken = rng.random(len(log)) < 0.0836
        loss = np.where(log.is_candidate, np.where(broken, 1.0, better), log.loss)
        called.append(call(PLAIN, replace(log, loss=loss)))
    return called


def _retried(rng: np.random.Generator, canaries: int) -> list[Any]:
    """Whether one worthless candidate, tried thirty times, is ever promoted."""
    truth = Truth(runs=_RETRY_RUNS, propensity=0.5)
    plans = [TestPlan(attempt=attempt) for attempt in range(1, _RETRIES + 1)]
    return [
        any(isfinite(call(plan, truth.draw(rng)).promoted) for plan in plans)
        for _ in range(canaries)
    ]


def _retried_says(promoted: Sequence[bool]) -> list[Figure]:
    name = f"a worthless candidate tried {_RETRIES} times: ever promoted"
    return [sums.percent(name, promoted, at_most=5.0)]


_SHARES = (0.10, 0.50)
ROWS = (
    Row(
        number=1,
        title="no difference, 10,000 runs: ever promoted, ever rolled back",
        parts=(
            *(_family(name, draw, share) for name, draw in FAMILIES.items() for share in _SHARES),
            *(_naive("beta", FAMILIES["beta"], share) for share in _SHARES),
        ),
    ),
    Row(
        number=2,
        title="no difference, rare failures",
        parts=tuple(_rare(rate, share) for rate in (0.005, 0.02) for share in (0.05, 0.10)),
    ),
    Row(
        number=6,
        title="a ramp of 5, 10, 25 and 50 % while the day drifts",
        parts=(
            *(_drifting(change) for change in (-0.12, 0.12, -0.04)),
            _drifting_worse(),
            _pooled_drift(),
        ),
    ),
    Row(
        number=10,
        title="a better median, a mean 0.031 worse",
        parts=(
            Part(
                play=_better_median_worse_mean,
                say=_rates(
                    "better median, worse mean, 50%",
                    promoted={"at_most": 1.0},
                    rolled_back={"at_least": 90.0},
                ),
                full=1_000,
                fast=60,
            ),
        ),
    ),
    Row(
        number=16,
        title="second chances",
        parts=(Part(play=_retried, say=_retried_says, full=600, fast=40),),
    ),
)

"""Decisions, in small: what the evidence engine costs and how often and how fast it is right.

``python -m bench.decisions_small [canaries]`` prints a table; ``make bench`` reads ``run()``.
Monte-Carlo error is one standard error. Losses are beta with mean 0.30 and deviation 0.15.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence import anytime, counters
from learnops.domain.evidence.types import Observations, TestPlan

SEED = 20_26
RAMP = TestPlan.for_canary(
    promote_level=0.05,
    margin=0.0,
    rollback_level=0.05,
    tolerance=None,
    attempt=1,
    gated_shares=(5.0, 10.0, 25.0),
)
NULL_RUNS = 10_000
COUNTER_SCRAPE_RUNS = 25


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where each canary was decided: runs (inf: never), and candidate runs until roll-back."""

    promoted: NDArray[np.float64]
    rolled: NDArray[np.float64]
    candidate_runs: NDArray[np.float64]


def run(*, canaries: int = 300) -> list[dict[str, Any]]:
    """All figures: ``{"figure", "value", "error", "unit", "wanted"}`` (error None: not sampled)."""
    rng = np.random.default_rng(SEED)
    return [
        *_cost(rng),
        *_false_calls(rng, canaries=canaries),
        *_speed(rng, canaries=canaries),
        *_counter_speed(rng, canaries=max(canaries // 5, 20)),
    ]


def simulate(
    rng: np.random.Generator, *, runs: int, propensity: float, difference: float
) -> Observations:
    """One canary's resolved log."""
    candidate = rng.random(runs) < propensity
    loss = np.clip(rng.beta(2.5, 35 / 6, runs) + difference * candidate, 0.0, 1.0)
    return Observations(
        seq=np.arange(1, runs + 1),
        is_candidate=candidate,
        propensity=np.full(runs, propensity),
        loss=loss,
    )


def _cost(rng: np.random.Generator) -> list[dict[str, Any]]:
    fresh = anytime.start(RAMP)
    tick = simulate(rng, runs=50, propensity=0.1, difference=0.0)
    log = simulate(rng, runs=10_000, propensity=0.1, difference=0.0)
    state = anytime.advance(fresh, log)
    single = _microseconds(lambda: anytime.advance(fresh, tick), repeat=300)
    whole = _microseconds(lambda: anytime.advance(fresh, log), repeat=10) / (10_000 / 50)
    size = len(json.dumps(state.to_dict(), separators=(",", ":")))
    return [
        _row("50 runs x 5 tests, along a log", whole, unit="us", wanted="<= 100"),
        _row("50 runs x 5 tests, a tick of its own", single, unit="us", wanted=""),
        _row("state of a canary", size, unit="bytes", wanted="<= 4096"),
    ]


def _microseconds(work: Callable[[], object], *, repeat: int) -> float:
    """Best of ``repeat``: the machine's other work only ever adds."""
    best = float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e6


def _false_calls(rng: np.random.Generator, *, canaries: int) -> list[dict[str, Any]]:
    rows = []
    for share in (0.1, 0.5):
        seen = _judge(rng, canaries=canaries, runs=NULL_RUNS, propensity=share, difference=0.0)
        where = f"no difference, {share:.0%}, {NULL_RUNS} runs"
        rows += [
            _rate(f"{where}: ever promoted", np.isfinite(seen.promoted), wanted="<= 5"),
            _rate(f"{where}: ever rolled back", np.isfinite(seen.rolled), wanted="<= 5"),
        ]
    return rows


def _speed(rng: np.random.Generator, *, canaries: int) -> list[dict[str, Any]]:
    rows = []
    for share, runs, wanted in ((0.5, 4000, "<= 600"), (0.1, 6000, "<= 1300")):
        seen = _judge(rng, canaries=canaries, runs=runs, propensity=share, difference=-0.05)
        rows.append(_median(f"0.05 better, {share:.0%}: promoted", seen.promoted, wanted=wanted))
    for difference, wanted in ((0.10, "<= 35"), (0.20, "<= 20")):
        seen = _judge(rng, canaries=canaries, runs=2000, propensity=0.1, difference=difference)
        runs_exposed = np.where(np.isfinite(seen.rolled), seen.candidate_runs, np.inf)
        what = f"{difference:.2f} worse, 10%: rolled back, candidate runs"
        rows.append(_median(what, runs_exposed, wanted=wanted))
    return rows


def _judge(rng: np.random.Generator, *, canaries: int, runs: int, **truth: float) -> Outcome:
    fresh = anytime.start(TestPlan())
    columns = []
    for _ in range(canaries):
        log = simulate(
            rng, runs=runs, propensity=truth["propensity"], difference=truth["difference"]
        )
        seen = anytime.advance(fresh, log).evidence()
        end = seen.rollback.crossed_at or runs
        exposed = int(log.is_candidate[:end].sum())
        columns.append((_at(seen.promote.crossed_at), _at(seen.rollback.crossed_at), exposed))
    promoted, rolled, candidate_runs = np.array(columns, dtype=np.float64).T
    return Outcome(promoted=promoted, rolled=rolled, candidate_runs=candidate_runs)


def _counter_speed(rng: np.random.Generator, *, canaries: int) -> list[dict[str, Any]]:
    promoted = []
    for _ in range(canaries):
        log = simulate(rng, runs=4000, propensity=0.5, difference=-0.05)
        state = counters.start(TestPlan(), first_epoch=1)
        for first in range(0, len(log), COUNTER_SCRAPE_RUNS):
            state = counters.absorb(state, _increment(log, first))
        promoted.append(_at(state.evidence().promote.crossed_at))
    return [_median("Counters: 0.05 better, 50%: promoted", np.array(promoted), wanted="~2x")]


def _increment(log: Observations, first: int) -> counters.CounterIncrement:
    rows = slice(first, first + COUNTER_SCRAPE_RUNS)
    loss, candidate = log.loss[rows], log.is_candidate[rows]
    sums = [
        counters.ArmSums(n=len(arm), s=float(arm.sum()), q=float((arm * arm).sum()))
        for arm in (loss[candidate], loss[~candidate])
    ]
    return counters.CounterIncrement(epoch=1, propensity=0.5, candidate=sums[0], control=sums[1])


def _at(position: int | None) -> float:
    return float("inf") if position is None else float(position)


def _rate(figure: str, hits: NDArray[np.bool_], *, wanted: str) -> dict[str, Any]:
    share = float(hits.mean())
    error = float(np.sqrt(max(share * (1 - share), 1 / len(hits)) / len(hits)))
    return _row(figure, 100 * share, unit="%", wanted=wanted, error=100 * error)


def _median(figure: str, runs: NDArray[np.float64], *, wanted: str) -> dict[str, Any]:
    """The median with half the distance of the order statistics one standard error apart."""
    ordered, half = np.sort(runs), np.sqrt(len(runs)) / 2
    middle = len(runs) / 2
    low, high = ordered[int(middle - half)], ordered[min(int(middle + half), len(runs) - 1)]
    value = float(np.median(ordered))
    return _row(figure, value, unit="runs", wanted=wanted, error=float(high - low) / 2)


def _row(
    figure: str, value: float, *, unit: str, wanted: str, error: float | None = None
) -> dict[str, Any]:
    return {"figure": figure, "value": value, "error": error, "unit": unit, "wanted": wanted}


def main() -> None:
    """Print the table."""
    canaries = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for row in run(canaries=canaries):
        error = "" if row["error"] is None else f"+- {row['error']:.1f}"
        line = f"{row['figure']:<56} {row['value']:>8.1f} {error:<9} {row['unit']:<6}"
        sys.stdout.write(f"{line} {row['wanted']}\n")


if __name__ == "__main__":
    main()

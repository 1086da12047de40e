"""Rows 7, 8, 9, 13, 14 and 17: what becomes of a log, how exactly, at what cost, how soon."""

import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Any

import numpy as np

from bench.decisions import sums
from bench.decisions.arrivals import Arrivals, part
from bench.decisions.canaries import Truth, call
from bench.decisions.families import Floats
from bench.decisions.row import Part, Row
from bench.figure import Figure
from learnops.domain.evidence import anytime, betting
from learnops.domain.evidence.anytime import EngineState
from learnops.domain.evidence.hypotheses import Tests
from learnops.domain.evidence.types import FutilityTest, GuardrailTest, Observations, TestPlan

NINE = tuple(GuardrailTest(term=f"term{k}") for k in range(9))
RAMP = TestPlan.for_canary(
    promote_level=0.05,
    margin=0.0,
    rollback_level=0.05,
    tolerance=None,
    attempt=1,
    gated_shares=(5.0, 10.0, 25.0),
)
EVERYTHING = replace(RAMP, guardrails=NINE, futility=FutilityTest(min_improvement=0.02))
PLAIN = TestPlan()
_TRUTH = Truth(
    runs=3_000, propensity=0.25, difference=-0.03, guardrails=((0.05, 0.05),) * 8 + ((0.05, 0.1),)
)
_MATURATION = 600.0


def _played(arrivals: Arrivals, *, period: float, stop: bool = False, deliveries: int = 1) -> Any:
    """The state at the end, read at each tick from the watermark on.

    ``stop``: the process dies after every tick and goes on from what it had written. Each read is
    delivered ``deliveries`` times to the state before it, as a repeated one is.
    """
    state = anytime.start(EVERYTHING)
    for end in arrivals.ticks(period):
        news = part(arrivals.log, state.watermark, end)
        for _ in range(deliveries):
            after = anytime.advance(state, news)
        state = after
        if stop:
            state = EngineState.from_dict(json.loads(json.dumps(state.to_dict())), plan=EVERYTHING)
    return state


def _periods_and_shuffles(rng: np.random.Generator, canaries: int) -> list[Any]:
    """The largest change of any log-e between ticks of 1 and 60 s and three orders of arrival."""
    worst = []
    for _ in range(canaries):
        log = _TRUTH.draw(rng)
        states = [
            _played(_shuffled(rng, log), period=period)
            for period, _ in itertools.product((1.0, 60.0), range(3))
        ]
        first = states[0]
        moved = [float(np.abs(it.logs - first.logs).max()) for it in states[1:]]
        same = all(it.evidence() == first.evidence() for it in states[1:])
        worst.append(max(moved) if same else inf)
    return worst


def _shuffled(rng: np.random.Generator, log: Observations) -> Arrivals:
    return Arrivals.of(log, seconds=rng.exponential(30.0, len(log)), maturation=_MATURATION)


def _largest_change(worst: Sequence[float]) -> list[Figure]:
    name = "ticks of 1 and 60 s, bundles in any order: largest change of a log-e"
    return [sums.exact(name, max(worst), unit="", at_most=1e-9)]


def _killed(rng: np.random.Generator, canaries: int) -> list[Any]:
    """Whether a canary that is killed all the time ends otherwise than an undisturbed one."""
    different = []
    for _ in range(canaries):
        arrivals = _shuffled(rng, _TRUTH.draw(rng))
        disturbed = _played(arrivals, period=10.0, stop=True, deliveries=3)
        different.append(disturbed.to_dict() != _played(arrivals, period=10.0).to_dict())
    return different


def _killed_says(different: Sequence[bool]) -> list[Figure]:
    name = "killed after every tick, each run delivered three times: canaries that end differently"
    return [sums.exact(name, sum(different), unit=f"of {len(different)}", at_most=0)]


def _slow_bad(rng: np.random.Generator, canaries: int) -> list[Any]:
    """0.05 worse, and its runs last 20 times as long."""
    return [_looked_at(*_slow(rng)) for _ in range(canaries)]


def _slow(rng: np.random.Generator) -> tuple[Observations, Floats]:
    log = Truth(runs=6_000, propensity=0.5, difference=0.05).draw(rng)
    return log, np.where(log.is_candidate, 200.0, 10.0) * rng.uniform(0.5, 1.5, len(log))


def _crashing(rng: np.random.Generator, canaries: int) -> list[Any]:
    """15 % of its processes never report; those that do are 0.05 better."""
    called = []
    for _ in range(canaries):
        log = Truth(runs=6_000, propensity=0.5, difference=-0.05).draw(rng)
        crashed = log.is_candidate & (rng.random(len(log)) < 0.15)
        called.append(_looked_at(log, np.where(crashed, inf, rng.uniform(5.0, 15.0, len(log)))))
    return called


def _looked_at(log: Observations, seconds: Floats) -> tuple[bool, bool]:
    """Whether any look promoted before a roll-back, and whether it was rolled back."""
    arrivals = Arrivals.of(log, seconds=seconds, maturation=_MATURATION)
    state = anytime.start(PLAIN)
    for end in arrivals.ticks(60.0):
        state = anytime.advance(state, part(arrivals.log, state.watermark, end))
        evidence = state.evidence()
        if evidence.rollback.crossed:
            return evidence.promote.crossed, True
    return evidence.promote.crossed, False


def _slow_says(name: str) -> Callable[[Sequence[Any]], list[Figure]]:
    def say(called: Sequence[Any]) -> list[Figure]:
        promoted, rolled = zip(*called, strict=True)
        return [
            sums.percent(f"{name}: promoted", promoted, at_most=0.0),
            sums.percent(f"{name}: rolled back", rolled, at_least=95.0),
        ]

    return say


def _factor_means(_rng: np.random.Generator, _canaries: int) -> list[Any]:
    """|mean of a factor - 1| over two-point losses, all tests of the widest plan, m, pi, bets."""
    tests = Tests.of(replace(EVERYTHING, interval=True))
    grid = itertools.product((0.01, 0.05, 0.1, 0.5, 0.9), np.linspace(0.0, 1.0, 11), (0.0, 30.0))
    return [_worst_mean(tests, pi=pi, m=float(m), total=total) for pi, m, total in grid]


def _worst_mean(tests: Tests, *, pi: float, m: float, total: float) -> float:
    one, worst = np.array([pi]), 0.0
    b = betting.bounds(tests, m=np.full((tests.streams, 1), m), propensity=one, other=1.0 - one)
    stake = anytime.adaptive_bet(np.full((2, len(tests), 1), total), propensity=one, bound=b)
    scores = np.array([(1 - m) / pi, -m / pi, -(1 - m) / (1 - pi), m / (1 - pi)])
    g = betting.payoffs(tests, np.tile(scores, (tests.streams, 1)))
    for row, margin in enumerate(tests.margin.tolist()):
        mean_c, mean_0 = 0.5 + margin, 0.5  # on the border of the null hypothesis
        chance = [pi * mean_c, pi * (1 - mean_c), (1 - pi) * mean_0, (1 - pi) * (1 - mean_0)]
        for bet in (*(betting.FRACTIONS / b[row, 0]), float(stake[row, 0])):
            worst = max(worst, abs(float(np.dot(chance, 1.0 + bet * g[row])) - 1.0))
    return worst


def _factor_says(worst: Sequence[float]) -> list[Figure]:
    name = "mean of each factor under equality: largest distance from 1"
    return [sums.exact(name, max(worst), unit="", at_most=1e-12)]


def _cost(rng: np.random.Generator, _canaries: int) -> list[Any]:
    """Microseconds per 50 runs along a log and as a tick, and bytes of the widest state."""
    log = Truth(runs=10_000, propensity=0.1).draw(rng)
    fresh, ticked = anytime.start(RAMP), anytime.advance(anytime.start(RAMP), part(log, 0, 1_000))
    along = _microseconds(lambda: anytime.advance(fresh, log), repeat=10) / (len(log) / 50)
    tick = part(log, 1_000, 1_050)
    alone = _microseconds(lambda: anytime.advance(ticked, tick), repeat=300)
    wide = anytime.advance(anytime.start(EVERYTHING), _TRUTH.draw(rng)).to_dict()
    wide.pop("plan")  # is the canary's own spec
    return [(along, alone, len(json.dumps(wide, separators=(",", ":"))))]


def _microseconds(work: Callable[[], object], *, repeat: int) -> float:
    """Best of ``repeat``: the machine's other work only ever adds."""
    best = inf
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e6


def _cost_says(found: Sequence[Any]) -> list[Figure]:
    ((along, alone, size),) = found
    return [
        sums.exact("50 runs, 5 tests, along a log", along, unit="us", at_most=100),
        sums.exact("50 runs, 5 tests, as a tick of its own", alone, unit="us", at_most=100),
        sums.exact("state: ramp, futility, 9 guardrails", size, unit="bytes", at_most=4096),
    ]


def _seconds_to_control(rng: np.random.Generator, canaries: int) -> list[Any]:
    """From the first registration to the look at which the roll-back falls, a look each second."""
    seconds = []
    for _ in range(canaries):
        log = Truth(runs=3_000, propensity=0.10, difference=0.2).draw(rng)
        arrivals = Arrivals.of(log, seconds=np.full(len(log), 20.0), maturation=_MATURATION)
        at = call(PLAIN, arrivals.log).rolled_back
        seconds.append(float(np.ceil(arrivals.ready[int(at) - 1])) if isfinite(at) else inf)
    return seconds


def _seconds_says(seconds: Sequence[float]) -> list[Figure]:
    name = "0.2 worse at 10 %, a run a second, 20 s long: until rolled back, median"
    return [sums.quantile(name, seconds, unit="s", at_most=240)]


ROWS = (
    Row(
        number=7,
        title="the period of the analysis and the order of arrival",
        parts=(Part(play=_periods_and_shuffles, say=_largest_change, full=40, fast=4),),
    ),
    Row(
        number=8,
        title="killed and repeated",
        parts=(Part(play=_killed, say=_killed_says, full=100, fast=10),),
    ),
    Row(
        number=9,
        title="slow or crashing candidates",
        parts=(
            Part(
                play=_slow_bad,
                say=_slow_says("0.05 worse, runs 20 × as long"),
                full=200,
                fast=40,
            ),
            Part(
                play=_crashing,
                say=_slow_says("15 % crash, the rest 0.05 better"),
                full=200,
                fast=40,
            ),
        ),
    ),
    Row(
        number=13,
        title="exactness",
        parts=(Part(play=_factor_means, say=_factor_says, full=1, fast=1),),
    ),
    Row(
        number=14,
        title="cost",
        parts=(Part(play=_cost, say=_cost_says, full=1, fast=1),),
    ),
    Row(
        number=17,
        title="from the first run to control",
        parts=(Part(play=_seconds_to_control, say=_seconds_says, full=1_000, fast=60),),
    ),
)

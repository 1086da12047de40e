"""An agent that starts runs at a fixed rate and ends each as its policy's truth says."""

import heapq
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Condition, Lock, Thread
from typing import Any

from learnops.cli.truth import PolicyTruth, bundle_of
from learnops.client import Learner, Run

_STARTERS = 16  # a start waits for the api while a canary is live
_MAX_STARTING = 256
_FALLBACK = PolicyTruth(loss=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When runs start: `rate` a second on average, up to `runs` runs or `seconds` seconds."""

    rate: float
    runs: int | None = None
    seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class _Tally:
    runs: int = 0
    reported: int = 0
    crashed: int = 0
    slow: int = 0
    loss_sum: float = 0.0


@dataclass(order=True, slots=True)
class _Ending:
    at: float
    number: int
    run: Run = field(compare=False)
    truth: PolicyTruth = field(compare=False)
    slow: bool = field(compare=False)
    random: Random = field(compare=False)


class Agent:
    """`work` blocks until the schedule ends or `stop` is called, from a signal handler or thread.

    What run number n does depends on the seed and n alone, not on what other runs do meanwhile.
    """

    def __init__(
        self,
        *,
        learner: Learner,
        truth: dict[str, PolicyTruth],
        schedule: Schedule,
        seed: int,
        tenant: str | None = None,
        run_prefix: str | None = None,
    ) -> None:
        self._learner = learner
        self._truth = truth
        self._schedule = schedule
        self._seed = seed
        self._tenant = tenant
        self._run_prefix = run_prefix
        self._began = time.monotonic()
        self._stopped = False
        self._tallies: dict[str, _Tally] = {}
        self._shed = 0
        self._starting = 0
        self._lock = Lock()
        self._endings: list[_Ending] = []
        self._changed = Condition()

    def stop(self) -> None:
        """Start no more runs; those under way end at once. Safe in a signal handler."""
        self._stopped = True

    def work(self) -> None:
        """Start runs; an open loop: a slow api does not slow the arrivals down."""
        self._began = time.monotonic()
        ender = Thread(target=self._end_runs, name="simulate-end", daemon=True)
        ender.start()
        with ThreadPoolExecutor(_STARTERS, thread_name_prefix="simulate-start") as pool:
            for number in self._arrivals():
                if self._starting >= _MAX_STARTING:
                    self._shed += 1
                    continue
                with self._lock:
                    self._starting += 1
                pool.submit(self._start, number)
        self._stopped = True
        with self._changed:
            self._changed.notify_all()
        ender.join()

    def report(self) -> Iterator[dict[str, Any]]:
        """One mapping per policy, then one of totals."""
        for policy, tally in sorted(self._tallies.items()):
            yield {
                "policy": policy,
                "runs": tally.runs,
                "reported": tally.reported,
                "crashed": tally.crashed,
                "slow": tally.slow,
                "meanLoss": tally.loss_sum / tally.reported if tally.reported else None,
            }
        yield {
            "runs": sum(tally.runs for tally in self._tallies.values()),
            "notStarted": self._shed,
            "seconds": round(time.monotonic() - self._began, 3),
            "sdk": self._learner.stats(),
        }

    def _arrivals(self) -> Iterator[int]:
        """Numbers of runs, each when it is due (exponential gaps)."""
        gaps = Random(f"{self._seed}/arrivals")  # noqa: S311 - a simulation
        due = self._began
        for number in itertools.count():
            due += gaps.expovariate(self._schedule.rate)
            if not self._wait_until(due) or self._is_over(number):
                return
            yield number

    def _is_over(self, number: int) -> bool:
        runs, seconds = self._schedule.runs, self._schedule.seconds
        late = seconds is not None and time.monotonic() - self._began >= seconds
        return late or (runs is not None and number >= runs)

    def _wait_until(self, due: float) -> bool:
        """Whether the time came before the stop did."""
        while not self._stopped and (left := due - time.monotonic()) > 0:
            # In slices: a signal handler may set the flag, but must not take a lock to wake us.
            time.sleep(min(left, 0.1))
        return not self._stopped

    def _start(self, number: int) -> None:
        try:
            self._begin(number)
        finally:
            with self._lock:
                self._starting -= 1

    def _begin(self, number: int) -> None:
        run_id = None if self._run_prefix is None else f"{self._run_prefix}-{number}"
        run = self._learner.start(tenant=self._tenant, run_id=run_id)
        truth = self._truth.get(run.policy.name, _FALLBACK)
        random = Random(f"{self._seed}/{number}")  # noqa: S311 - a simulation
        chance = random.random()
        with self._lock:
            tally = self._tallies.setdefault(run.policy.name or "none", _Tally())
            tally.runs += 1
            tally.crashed += chance < truth.crash
        if chance < truth.crash:
            return
        slow = chance < truth.crash + truth.slow
        seconds = truth.slow_seconds if slow else truth.seconds
        ending = _Ending(time.monotonic() + seconds, number, run, truth, slow, random)
        with self._changed:
            heapq.heappush(self._endings, ending)
            self._changed.notify_all()

    def _end_runs(self) -> None:
        while (ending := self._next_ending()) is not None:
            if ending.slow:
                loss = 1.0
                ending.run.fail("slow failure")
            else:
                loss = ending.truth.draw(ending.random)
                terms = ending.truth.draw_terms(ending.random)
                ending.run.finish(**bundle_of(loss, ending.random, terms=terms))
            with self._lock:
                tally = self._tallies[ending.run.policy.name or "none"]
                tally.reported += 1
                tally.slow += ending.slow
                tally.loss_sum += loss

    def _next_ending(self) -> _Ending | None:
        with self._changed:
            while True:
                if self._endings and (self._stopped or self._endings[0].at <= time.monotonic()):
                    return heapq.heappop(self._endings)
                if self._stopped and not self._starting:
                    return None
                self._changed.wait(self._patience())

    def _patience(self) -> float:
        if not self._endings:
            return 0.1
        return min(max(self._endings[0].at - time.monotonic(), 0.0), 0.1)

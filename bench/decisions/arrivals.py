"""Logs that come in over time: a run is resolved when it reports, or when its time is up."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bench.decisions.families import Floats
from learnops.domain.evidence.types import Observations


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrivals:
    """A log and when each prefix of it was resolved.

    Attributes:
        log: in registration order; a run whose time ran out has loss 1.
        ready: seconds at which the prefix that ends with each run was resolved.
    """

    log: Observations
    ready: Floats

    @classmethod
    def of(
        cls, log: Observations, *, seconds: Floats, maturation: float, every: float = 1.0
    ) -> Self:
        """A registration each ``every`` seconds; run i takes ``seconds[i]``, inf: for ever."""
        registered = every * np.arange(1, len(log) + 1)
        late = seconds > maturation
        resolved = registered + np.where(late, maturation, seconds)
        return cls(
            log=replace(log, loss=np.where(late, 1.0, log.loss)),
            ready=np.maximum.accumulate(resolved),
        )

    def ticks(self, period: float) -> Iterator[int]:
        """How much of the log is in the resolved prefix at each look."""
        for now in np.arange(period, self.ready[-1] + period, period):
            yield int(np.searchsorted(self.ready, now, side="right"))


def part(log: Observations, first: int, last: int) -> Observations:
    """The runs at positions ``first`` to ``last``, the end excluded."""
    rows = slice(first, last)
    return replace(
        log,
        seq=log.seq[rows],
        is_candidate=log.is_candidate[rows],
        propensity=log.propensity[rows],
        loss=log.loss[rows],
        terms=None if log.terms is None else log.terms[rows],
    )

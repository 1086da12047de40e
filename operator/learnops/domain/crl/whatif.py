"""What past runs would have scored by another yardstick, summed by who ran."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learnops.domain.crl.columns import ColumnScores, Flags, Floats, score_columns
from learnops.domain.crl.yardstick import Weights, Yardsticks

Numbers = NDArray[np.int64]
UNKNOWN = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Some past runs, as columns of n.

    Attributes:
        group: int64, the place of each run's group (policy and arm) in a list.
        tenant: int64, its tenant's place in `tenants`; UNKNOWN: one without weights of its own.
        tenants: the tenants that have weights of their own by the other yardstick.
        loss: float64, as it was scored; NaN where that is not known.
        partial: bool, as it was scored; None where that is not known of any of them.
        scored: of each term what was reported, normalised as it was then; NaN where a run was
            silent.
        weights: int64, the place of the weights that it was scored by in `known`; UNKNOWN: these
            are not known.
        known: weights that runs were scored by.
        values: as `scored`, by the budgets and caps of the other yardstick.
    """

    group: Numbers
    tenant: Numbers
    tenants: Sequence[str]
    loss: Floats
    partial: Flags | None
    scored: Mapping[str, Floats]
    weights: Numbers
    known: Sequence[Weights]
    values: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.loss)


class Score(Protocol):
    """What is told of a run that was scored alone: `contributions` are parts of its loss."""

    @property
    def loss(self) -> float: ...
    @property
    def partial(self) -> bool: ...
    @property
    def contributions(self) -> Mapping[str, float]: ...
    @property
    def missing(self) -> Sequence[str]: ...


@dataclass(kw_only=True)
class Tally:
    """Sums over the runs of one group, before and after.

    Attributes:
        scored: runs whose loss before is known.
        partial_before: None where it is not known of every run.
        shares_before: of each term the sum of its parts of the loss, over runs whose weights are
            known.
        silent: of each term in use after, how many runs did not report it.
    """

    runs: int = 0
    scored: int = 0
    loss_before: float = 0.0
    loss_after: float = 0.0
    partial_before: int | None = 0
    partial_after: int = 0
    shares_before: dict[str, float] = field(default_factory=dict)
    shares_after: dict[str, float] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)
    explained: int = 0

    def add_one(self, before: "Score", after: "Score") -> None:
        """Count a run that was scored alone, twice."""
        self.runs += 1
        self.scored += 1
        self.explained += 1
        self.loss_before += before.loss
        self.loss_after += after.loss
        self.count_partial(int(before.partial))
        self.partial_after += after.partial
        for into, found in ((self.shares_before, before), (self.shares_after, after)):
            for name, share in found.contributions.items():
                into[name] = into.get(name, 0.0) + share
        for name in after.missing:
            self.silent[name] = self.silent.get(name, 0) + 1

    def count_partial(self, more: int | None) -> None:
        """Add so many runs that were partial before; None: of some it is not known."""
        if self.partial_before is not None:
            self.partial_before = None if more is None else self.partial_before + more

    def drivers(self) -> list[tuple[str, float, float]]:
        """Terms with their mean parts of the loss before and after, the greatest change first."""
        names = {**self.shares_before, **self.shares_after}
        before, after = max(self.explained, 1), max(self.runs, 1)
        parts = [
            (
                name,
                self.shares_before.get(name, 0.0) / before,
                self.shares_after.get(name, 0.0) / after,
            )
            for name in names
        ]
        return sorted(parts, key=lambda it: -abs(it[2] - it[1]))


def score_each(
    values: Mapping[str, Floats], by: Yardsticks, *, tenant: Numbers, tenants: Sequence[str]
) -> ColumnScores:
    """Score n runs, each by the weights of its tenant: `tenant` is its place in `tenants`."""
    every = [(UNKNOWN, by.base.weights)]
    every += [(place, by.of(name).weights) for place, name in enumerate(tenants)]
    return _each_by_its_own(values, tenant, every)


def rescored(runs: Runs, by: Yardsticks) -> ColumnScores:
    """By the other yardstick."""
    return score_each(runs.values, by, tenant=runs.tenant, tenants=runs.tenants)


def as_scored(runs: Runs) -> ColumnScores:
    """By the weights that they were scored by; nothing is told of runs whose are not known."""
    return _each_by_its_own(runs.scored, runs.weights, list(enumerate(runs.known)))


def _each_by_its_own(
    values: Mapping[str, Floats], whose: Numbers, weights: Sequence[tuple[int, Weights]]
) -> ColumnScores:
    size = len(whose)
    for place, one in weights:
        if (whose == place).all():
            return score_columns(values, one, runs=size)
    loss = np.full(size, np.nan)
    shares: dict[str, Floats] = {}
    silent: dict[str, Flags] = {}
    for place, one in weights:
        mine = np.flatnonzero(whose == place)
        if not len(mine):
            continue
        part = score_columns({name: it[mine] for name, it in values.items()}, one, runs=len(mine))
        loss[mine] = part.loss
        for name, column in part.shares.items():
            shares.setdefault(name, np.zeros(size))[mine] = column
            silent.setdefault(name, np.zeros(size, dtype=np.bool_))[mine] = part.silent[name]
    return ColumnScores(loss=loss, shares=shares, silent=silent)


def count(runs: Runs, after: ColumnScores, *, into: Sequence[Tally]) -> None:
    """Add runs to the tallies of their groups."""
    before, partial = as_scored(runs), after.partial
    for place in np.unique(runs.group):
        mine = runs.group == place
        _add(into[int(place)], runs, before, after, partial=partial, mine=mine)


def _add(
    tally: Tally,
    runs: Runs,
    before: ColumnScores,
    after: ColumnScores,
    *,
    partial: Flags,
    mine: Flags,
) -> None:
    known = mine & ~np.isnan(runs.loss)
    explained = mine & (runs.weights != UNKNOWN)
    tally.runs += int(mine.sum())
    tally.scored += int(known.sum())
    tally.explained += int(explained.sum())
    tally.loss_before += float(runs.loss[known].sum())
    tally.loss_after += float(after.loss[mine].sum())
    tally.count_partial(None if runs.partial is None else int(runs.partial[mine].sum()))
    tally.partial_after += int(partial[mine].sum())
    _sum_up(tally.shares_before, before.shares.items(), mine=explained)
    _sum_up(tally.shares_after, after.shares.items(), mine=mine)
    for name, column in after.silent.items():
        tally.silent[name] = tally.silent.get(name, 0) + int(column[mine].sum())


def _sum_up(into: dict[str, float], shares: Iterable[tuple[str, Floats]], *, mine: Flags) -> None:
    for name, column in shares:
        into[name] = into.get(name, 0.0) + float(column[mine].sum())

"""The CRL of many runs at once: the same losses as `score`, bit for bit, a column at a time.

What a run reported is already normalised here, as it is stored with the run. The sum over the
terms is rounded once, as `math.fsum` does: each addition keeps what it rounded away (Knuth, The Art
of Computer Programming, vol. 2, 4.2.2, theorem B).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from learnops.domain.crl.yardstick import Weights

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnScores:
    """The scores of n runs.

    Attributes:
        loss: float64 (n), in [0, 1].
        shares: of each term in use its part of the loss, float64 (n).
        silent: of each term in use, True (n) where the run did not report it and it counts 1.
    """

    loss: Floats
    shares: Mapping[str, Floats]
    silent: Mapping[str, Flags]

    @property
    def partial(self) -> Flags:
        """True (n) where a term in use was not reported."""
        found = np.zeros(len(self.loss), dtype=np.bool_)
        for column in self.silent.values():
            found |= column
        return found


def score_columns(values: Mapping[str, Floats], weights: Weights, *, runs: int) -> ColumnScores:
    """Score n runs by one set of weights.

    Args:
        values: of each term what the runs reported, normalised to [0, 1], float64 (n); NaN where a
            run was silent. A term that is not there was reported by none.
        weights: of the terms.
        runs: n.
    """
    in_use = {term: weight for term, weight in weights.by_term.items() if weight > 0.0}
    total = fsum(in_use.values())
    nothing = np.full(runs, np.nan)
    columns = {term: values.get(term, nothing) for term in in_use}
    silent = {term: np.isnan(column) for term, column in columns.items()}
    shares = {
        term: weight / total * np.where(silent[term], 1.0, columns[term])
        for term, weight in in_use.items()
    }
    loss = np.minimum(rounded_once(list(shares.values())), 1.0)
    return ColumnScores(loss=loss, shares=shares, silent=silent)


def rounded_once(columns: Sequence[Floats]) -> Floats:
    """The sum over columns of equal length, each correctly rounded as by `math.fsum`.

    The sum and what its additions rounded away add up to the exact one. Where the latter could not
    be added without another rounding, the row is summed by `fsum` itself.
    """
    total = columns[0].copy()
    rest = np.zeros_like(total)
    lost = np.zeros(len(total), dtype=np.bool_)
    for column in columns[1:]:
        total, error = _two_sum(total, column)
        rest, error = _two_sum(rest, error)
        lost |= error != 0.0
    result = total + rest
    for row in np.flatnonzero(lost):
        result[row] = fsum(float(column[row]) for column in columns)
    return result


def over_budget_column(spent: Floats, budget: Floats) -> Floats:
    """`terms.over_budget` of n runs; NaN where a run tells no cost or has no budget."""
    with np.errstate(over="ignore"):  # more than the largest number times a budget counts 1
        return np.minimum(np.maximum(spent / budget - 1.0, 0.0), 1.0)


def _two_sum(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """The rounded sum and the error: their exact sum is that of the two."""
    total = left + right
    part = total - left
    return total, (left - (total - part)) + (right - part)

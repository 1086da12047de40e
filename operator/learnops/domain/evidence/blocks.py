"""Whole blocks of ten registrations as columns."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.hypotheses import Floats
from learnops.domain.evidence.types import Observations

BLOCK_RUNS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """B whole blocks, row i the i-th run of each.

    Attributes (shape (10, B) unless told):
        candidate, control: 1 where the run is of that arm, else 0.
        propensity: the candidate's probability.
        control_propensity: control's, None where it is 1 - propensity.
        losses: (10, S, B), the loss and the guardrails' terms.
        live: 0 where the run is void, else 1; None where all are live.
    """

    candidate: Floats
    control: Floats
    propensity: Floats
    control_propensity: Floats | None
    losses: Floats
    live: Floats | None

    @classmethod
    def of(cls, observations: Observations, first: int, last: int) -> Self:
        rows = slice(first, last)
        void = None if observations.void is None else observations.void[rows]
        if void is not None and not np.count_nonzero(void):
            void = None
        candidate = _by_position(observations.is_candidate[rows])
        control = 1.0 - candidate
        if observations.is_other is not None:
            either = _by_position(~observations.is_other[rows])
            candidate, control = candidate * either, control * either
        columns = [observations.loss[rows]]
        if observations.terms is not None:
            columns += list(observations.terms[rows].T)
        other = observations.control_propensity
        return cls(
            candidate=candidate,
            control=control,
            propensity=_by_position(_known(observations.propensity[rows], void, otherwise=0.5)),
            control_propensity=None
            if other is None
            else _by_position(_known(other[rows], void, otherwise=0.5)),
            losses=_stacked([_by_position(_known(one, void, otherwise=0.0)) for one in columns]),
            live=None if void is None else _by_position(~void),
        )

    @property
    def other(self) -> Floats:
        """The probability of control."""
        return 1.0 - self.propensity if self.control_propensity is None else self.control_propensity

    @property
    def count(self) -> int:
        """B."""
        return int(self.propensity.shape[-1])


def _stacked(columns: list[Floats]) -> Floats:
    """(10, S, B); of a single column a view."""
    return columns[0][:, None] if len(columns) == 1 else np.stack(columns, axis=1)


def _known(column: Floats, void: NDArray[np.bool_] | None, *, otherwise: float) -> Floats:
    """A void run may carry anything; neutral values keep NaN out of the arithmetic."""
    return column if void is None else np.where(void, otherwise, column)


def _by_position(column: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(column.reshape(-1, BLOCK_RUNS).T, dtype=np.float64)

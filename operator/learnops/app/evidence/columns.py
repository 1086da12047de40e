"""Rows of the run log as columns, and what is counted in them besides the evidence."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.types import GuardrailTest, Observations, TestPlan
from learnops.ports.runlog import LogRows


def columns_of(rows: LogRows, plan: TestPlan) -> Observations:
    """As the engine reads them. A term that is not there counts 1: unknown is never good.

    With one candidate control has 1 - π and there is no other: the engine's own case.
    """
    several = plan.candidates > 1
    return Observations(
        seq=np.asarray(rows.seq, dtype=np.int64),
        is_candidate=np.asarray(rows.is_candidate, dtype=np.bool_),
        propensity=np.asarray(rows.propensity, dtype=np.float64),
        loss=np.asarray(rows.loss, dtype=np.float64),
        void=np.asarray(rows.void, dtype=np.bool_),
        terms=_term_columns(rows, plan) if plan.guardrails else None,
        is_other=np.asarray(rows.is_other, dtype=np.bool_) if several else None,
        control_propensity=np.asarray(rows.control_propensity, dtype=np.float64)
        if several
        else None,
    )


def _term_columns(rows: LogRows, plan: TestPlan) -> NDArray[np.float64]:
    columns = [np.asarray(rows.terms[it.term], dtype=np.float64) for it in plan.guardrails]
    matrix = np.stack(columns, axis=1)
    return np.where(np.isnan(matrix), 1.0, matrix)


def breaches_of(rows: LogRows, guardrail: GuardrailTest, *, first: int) -> int:
    """Runs of the candidate among the first rows that reported the term above the tolerance."""
    reported = (rows.worst or rows.terms)[guardrail.term]
    values = zip(reported[:first], rows.is_candidate[:first], strict=True)
    limit = guardrail.tolerance
    return sum(mine and value is not None and value > limit for value, mine in values)


def control_counts(rows: LogRows, columns: Observations, *, first: int) -> tuple[int, float]:
    """Control's runs among the first rows, and those of them that were resolved by timeout; of a
    unit, the part of its runs that were."""
    assert columns.void is not None
    other = np.asarray(rows.is_other[:first], dtype=np.bool_)
    control = ~columns.is_candidate[:first] & ~other & ~columns.void[:first]
    timed_out = np.asarray(rows.timed_out[:first], dtype=np.float64)[control]
    return int(control.sum()), float(timed_out.sum())


def between(rows: LogRows, first: int, last: int) -> LogRows:
    """The rows from index `first` up to `last`."""
    return replace(
        rows,
        seq=rows.seq[first:last],
        is_candidate=rows.is_candidate[first:last],
        is_other=rows.is_other[first:last],
        propensity=rows.propensity[first:last],
        control_propensity=rows.control_propensity[first:last],
        loss=rows.loss[first:last],
        void=rows.void[first:last],
        timed_out=rows.timed_out[first:last],
        terms={name: column[first:last] for name, column in rows.terms.items()},
        worst={name: column[first:last] for name, column in rows.worst.items()},
    )

"""Checks of a stretch of the run log before any of it counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.betting import MIN_PROPENSITY
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.types import Observations

_FLOAT, _BOOL = np.dtype(np.float64), np.dtype(np.bool_)
_COLUMNS: tuple[tuple[str, np.dtype[Any]], ...] = (
    ("seq", np.dtype(np.int64)),
    ("is_candidate", _BOOL),
    ("propensity", _FLOAT),
    ("loss", _FLOAT),
    ("void", _BOOL),
    ("is_other", _BOOL),
    ("control_propensity", _FLOAT),
)
_OPTIONAL = ("void", "is_other", "control_propensity")
_WAY_OUT = "nothing of this read was counted; correct the run in the log or void it"


def check(observations: Observations, *, after: int, terms: tuple[str, ...] = ()) -> None:
    """Raise ``EvidenceError`` unless every run can be evidence and follows ``after`` without a gap.

    Void runs are not judged but for their number: they have factor 1 whatever they carry.
    ``terms`` are the guardrails' terms that each run must carry.
    """
    _check_columns(observations, terms=terms)
    if not len(observations):
        return
    _check_sequence(observations.seq, after=after)
    judged = slice(None) if observations.void is None else ~observations.void
    loss, propensity = observations.loss[judged], observations.propensity[judged]
    if not len(loss):
        return
    # One pass decides; the slower search for the culprit runs only where there is one. A NaN makes
    # every comparison false.
    if not _within(loss, 0.0, 1.0):
        _refuse_loss(loss, observations.seq[judged])
    if not _within(propensity, MIN_PROPENSITY, 1.0 - MIN_PROPENSITY):
        _refuse_propensity(propensity, observations.seq[judged])
    if observations.control_propensity is not None:
        _check_control(observations, propensity=propensity, judged=judged)
    if observations.terms is not None:
        _check_terms(observations.terms[judged], observations.seq[judged], names=terms)


def _within(column: NDArray[np.float64], low: float, high: float) -> bool:
    return bool(np.count_nonzero((column >= low) & (column <= high)) == len(column))


def _check_columns(observations: Observations, *, terms: tuple[str, ...]) -> None:
    shape = observations.seq.shape
    for name, dtype in _COLUMNS:
        column = getattr(observations, name)
        if column is not None or name not in _OPTIONAL:
            _check_column(name, column, dtype=dtype, shape=shape)
    if not terms and observations.terms is None:
        return
    given = np.empty(0) if observations.terms is None else observations.terms
    _check_column("terms", given, dtype=_FLOAT, shape=(*shape, len(terms)))


def _check_column(
    name: str, column: NDArray[Any], *, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> None:
    if column.dtype != dtype or column.shape != shape:
        raise EvidenceError(
            reason=EvidenceReason.COLUMNS_MISMATCH,
            detail=f"column {name} is {column.dtype}{column.shape}; give {dtype}{shape}",
        )


def _check_sequence(seq: NDArray[np.int64], *, after: int) -> None:
    wrong = seq != np.arange(after + 1, after + 1 + len(seq))
    if not np.count_nonzero(wrong):
        return
    at = int(wrong.argmax())
    expected = after + 1 + at
    backwards = seq[at] < expected
    reason = EvidenceReason.SEQUENCE_BACKWARDS if backwards else EvidenceReason.SEQUENCE_GAP
    raise EvidenceError(
        reason=reason,
        detail=f"seq {int(seq[at])} where {expected} was due; "
        "read the resolved prefix in order from the watermark",
    )


def _refuse_loss(loss: NDArray[np.float64], seq: NDArray[np.int64]) -> None:
    bad = ~((loss >= 0.0) & (loss <= 1.0))
    at = int(np.argmax(bad))
    value = float(loss[at])
    finite = bool(np.isfinite(value))
    raise EvidenceError(
        reason=EvidenceReason.LOSS_OUT_OF_RANGE if finite else EvidenceReason.LOSS_NOT_FINITE,
        detail=f"loss {value} of run seq {int(seq[at])} is not in [0, 1]; {_WAY_OUT}",
    )


def _refuse_propensity(propensity: NDArray[np.float64], seq: NDArray[np.int64]) -> None:
    bad = ~((propensity >= MIN_PROPENSITY) & (propensity <= 1.0 - MIN_PROPENSITY))
    at = int(np.argmax(bad))
    value = float(propensity[at])
    missing = bool(np.isnan(value))
    reason = (
        EvidenceReason.PROPENSITY_MISSING if missing else EvidenceReason.PROPENSITY_OUT_OF_RANGE
    )
    raise EvidenceError(
        reason=reason,
        detail=f"propensity {value} of run seq {int(seq[at])} is not strictly between 0 and 1 "
        f"(at least {MIN_PROPENSITY} from both); {_WAY_OUT}",
    )


def _check_control(
    observations: Observations,
    *,
    propensity: NDArray[np.float64],
    judged: slice | NDArray[np.bool_],
) -> None:
    """Control's own probability: at most what the candidate leaves."""
    assert observations.control_propensity is not None
    control = observations.control_propensity[judged]
    # Decimal shares add up to 1 but for the last bit.
    bad = ~((control >= MIN_PROPENSITY) & (control + propensity <= 1.0 + 1e-12))
    if bad.any():
        at = int(np.argmax(bad))
        raise EvidenceError(
            reason=EvidenceReason.PROPENSITY_OUT_OF_RANGE,
            detail=f"control's propensity {float(control[at])} of run seq "
            f"{int(observations.seq[judged][at])} is not between {MIN_PROPENSITY} and what the "
            f"candidate's {float(propensity[at])} leaves; {_WAY_OUT}",
        )


def _check_terms(
    terms: NDArray[np.float64], seq: NDArray[np.int64], *, names: tuple[str, ...]
) -> None:
    bad = ~((terms >= 0.0) & (terms <= 1.0))
    if not bad.any():
        return
    row, column = (int(place[0]) for place in np.nonzero(bad))
    value = float(terms[row, column])
    missing = bool(np.isnan(value))
    raise EvidenceError(
        reason=EvidenceReason.TERM_MISSING if missing else EvidenceReason.TERM_OUT_OF_RANGE,
        detail=f"term {names[column]} {value} of run seq {int(seq[row])} is not in [0, 1]; "
        f"{_WAY_OUT}",
    )

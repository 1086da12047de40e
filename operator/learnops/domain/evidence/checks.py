"""Checks of a stretch of the run log before any of it counts."""

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.betting import MIN_PROPENSITY
from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.types import Observations

_WAY_OUT = "nothing of this read was counted; correct the run in the log or void it"


def check(observations: Observations, *, after: int) -> None:
    """Raise ``EvidenceError`` unless every run can be evidence and follows ``after`` without a gap.

    Void runs are not judged but for their number: they have factor 1 whatever they carry.
    """
    _check_columns(observations)
    if not len(observations):
        return
    _check_sequence(observations.seq, after=after)
    judged = slice(None) if observations.void is None else ~observations.void
    loss, propensity = observations.loss[judged], observations.propensity[judged]
    if not len(loss):
        return
    # One pass decides; the slower search for the culprit runs only where there is one. A NaN makes
    # every comparison false.
    if not (loss.min() >= 0.0 and loss.max() <= 1.0):
        _refuse_loss(loss, observations.seq[judged])
    if not (propensity.min() >= MIN_PROPENSITY and propensity.max() <= 1.0 - MIN_PROPENSITY):
        _refuse_propensity(propensity, observations.seq[judged])


def _check_columns(observations: Observations) -> None:
    expected: dict[str, type[np.generic]] = {
        "seq": np.int64,
        "is_candidate": np.bool_,
        "propensity": np.float64,
        "loss": np.float64,
        "void": np.bool_,
    }
    for name, dtype in expected.items():
        column = getattr(observations, name)
        if column is None and name == "void":
            continue
        if column.dtype != dtype or column.shape != (len(observations.seq),):
            raise EvidenceError(
                reason=EvidenceReason.COLUMNS_MISMATCH,
                detail=f"column {name} is {column.dtype}{column.shape}; "
                f"give {dtype.__name__}({len(observations.seq)},)",
            )


def _check_sequence(seq: NDArray[np.int64], *, after: int) -> None:
    wrong = seq != np.arange(after + 1, after + 1 + len(seq))
    if not wrong.any():
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

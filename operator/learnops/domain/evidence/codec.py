"""Reading saved states: a state that is not exactly what was written is refused, never guessed."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learnops.domain.evidence.errors import EvidenceError, EvidenceReason
from learnops.domain.evidence.types import ENGINE_VERSION

_WAY_OUT = "start again from the log"


class Saved(Protocol):
    """A plan, as it is kept beside its state."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""


def head(*, method: str, plan: Saved) -> dict[str, Any]:
    """The part of a saved state that tells whether it may be used."""
    return {"engineVersion": ENGINE_VERSION, "method": method, "plan": plan.to_dict()}


def check_head(data: dict[str, Any], *, method: str, plan: Saved) -> None:
    """Refuse the state of another engine version, method or plan."""
    if data.get("engineVersion") != ENGINE_VERSION or data.get("method") != method:
        raise EvidenceError(
            reason=EvidenceReason.STATE_VERSION,
            detail=f"the state is of {data.get('method')!s:.40} engine version "
            f"{data.get('engineVersion')!s:.40}, this is {method} {ENGINE_VERSION}; {_WAY_OUT}",
        )
    if data.get("plan") != plan.to_dict():
        raise EvidenceError(
            reason=EvidenceReason.PLAN_CHANGED,
            detail="the state belongs to other levels, margins, steps or attempt; "
            "open a new analysis generation",
        )


def whole(data: dict[str, Any], name: str) -> int:
    """A non-negative integer."""
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(name, "is not a whole number of 0 or more")
    return value


def floats(data: dict[str, Any], name: str, *, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Finite floats of exactly this shape."""
    try:
        value = np.array(data.get(name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise invalid(name, "is not an array of numbers") from error
    if value.shape != shape or not np.isfinite(value).all():
        raise invalid(name, f"is not {shape} finite numbers")
    return value


def pack(value: NDArray[np.float64]) -> str:
    """Many floats as text, exact and short: base64 of little-endian doubles, row by row."""
    return b64encode(np.ascontiguousarray(value, dtype="<f8").tobytes()).decode()


def packed(data: dict[str, Any], name: str, *, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Finite floats of exactly this shape, from ``pack``."""
    text = data.get(name)
    if not isinstance(text, str):
        raise invalid(name, "is not packed text")
    try:
        value = np.frombuffer(b64decode(text, validate=True), dtype="<f8").astype(np.float64)
    except (Base64Error, ValueError) as error:
        raise invalid(name, "is not packed text") from error
    if value.size != np.prod(shape) or not np.isfinite(value).all():
        raise invalid(name, f"is not {shape} finite numbers")
    return value.reshape(shape)


def positions(data: dict[str, Any], name: str, *, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Non-negative integers of exactly this shape."""
    value = floats(data, name, shape=shape)
    if (value < 0).any() or (value != np.floor(value)).any():
        raise invalid(name, "holds something else than whole numbers of 0 or more")
    return value.astype(np.int64)


def invalid(name: str, what: str) -> EvidenceError:
    """The error of a field of a saved state."""
    return EvidenceError(
        reason=EvidenceReason.STATE_INVALID, detail=f"{name} of the state {what}; {_WAY_OUT}"
    )

"""What a bundle may hold: the bounds of the api, by which the SDK and `learnops run` keep too.

They are told to users in docs/reference/http-api.md. Standard library only, because every agent
imports this.
"""

from math import isfinite
from typing import Any, Final, LiteralString, Self

from learnops.domain.text import has_controls

BODY_BYTES: Final = 2**20
"""Of one bundle as JSON, and of the body of most requests."""
MAX_ENTRIES: Final = 128
"""In each of `metrics`, `costs` and `qav`."""
MAX_GATES: Final = 256
MAX_ARTIFACTS: Final = 256
MAX_SIGNALS: Final = 32
MAX_LATER: Final = 100
"""Signals of one run that come after its bundle."""
MAX_LABEL: Final = 128
"""Characters in a name of a metric, cost, gate or entry of `qav`."""
MAX_DEPTH: Final = 8
"""Levels below a section."""
MAX_STRING: Final = 65_536
"""Characters in a string of `qav` or `artifacts`."""
MAX_AMOUNT: Final = 1e15
"""Of a duration in milliseconds and of a budget."""
MAX_NUMBER: Final = 2**53
"""The largest metric or cost either way: one run must not push a sum to infinity."""

ERASED: Final[LiteralString] = "(erased)"
"""Stands for a tenant's name once it was erased: no tenant may be called so."""

_SHOWN_CHARACTERS: Final = 60


class UnstorableError(ValueError):
    """Content that cannot be kept.

    Attributes:
        path: where it stands in what was given, such as ``.answers[3]``; empty for all of it.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.path = ""

    def within(self, step: str) -> Self:
        """The same, seen from one level up."""
        self.path = step + self.path
        return self


def is_label(name: object) -> bool:
    """Whether something can be the name of a metric, a cost, a gate or an entry of `qav`."""
    return isinstance(name, str) and 1 <= len(name) <= MAX_LABEL and not has_controls(name)


def storable(value: Any, depth: int = 0) -> Any:
    """Free-form JSON as it is given, if it can be stored: depth and strings are bounded, no NUL, no
    lone surrogate, no NaN.

    Args:
        value: made of dicts, lists, strings, numbers, booleans and None.
        depth: levels above it.

    Raises:
        UnstorableError: naming what is wrong, and where.
    """
    if depth > MAX_DEPTH:
        raise UnstorableError(f"must be nested at most {MAX_DEPTH} levels deep")
    if isinstance(value, float):
        _check_finite(value)
    elif isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            try:
                storable(inner, depth + 1)
            except UnstorableError as error:
                raise error.within(f".{key:.{_SHOWN_CHARACTERS}}") from None
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            try:
                storable(inner, depth + 1)
            except UnstorableError as error:
                raise error.within(f"[{place}]") from None
    return value


def _check_finite(value: float) -> None:
    if not isfinite(value):
        raise UnstorableError("must have finite numbers alone, no NaN and no infinite one")


def _check_text(value: str) -> None:
    if value.isascii() and len(value) <= MAX_STRING and "\x00" not in value:
        return  # what nearly all is
    if len(value) > MAX_STRING:
        raise UnstorableError(f"must have strings of at most {MAX_STRING:,} characters")
    if "\x00" in value:
        raise UnstorableError("must have no NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UnstorableError("must be valid Unicode text, without lone surrogates") from None

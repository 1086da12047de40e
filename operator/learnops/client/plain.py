"""What an agent holds, as plain JSON that can be stored: numbers of array libraries, odd text."""

from collections.abc import Mapping
from typing import Any, Final

from learnops.domain.bundle_limits import MAX_DEPTH

REPLACEMENT: Final = "\ufffd"  # Unicode's own sign for what is no character
_MOST_BITS: Final = 1024  # of a whole number, as of the largest float
_QUICK: Final = frozenset({str, int, float, bool, type(None)})  # what nearly all is


class NotPlainError(ValueError):
    """A value that cannot travel; the message tells why, and never the value."""


class Texts:
    """Makes text storable, and knows whether any had to be changed."""

    __slots__ = ("changed",)

    def __init__(self) -> None:
        self.changed = False

    def clean(self, text: str) -> str:
        """Without NUL and lone surrogates, which are usual in what tools and models return."""
        kept = text.replace("\x00", REPLACEMENT)
        if not kept.isascii():
            try:
                kept.encode()
            except UnicodeEncodeError:
                # Two surrogates that belong together make one character, each other one is none.
                halves = kept.encode("utf-16-le", "surrogatepass")
                kept = halves.decode("utf-16-le", "replace")
        self.changed = self.changed or kept != text
        return kept


def number(value: Any) -> Any:
    """A Python number of what says that it is one: of array libraries, decimals, fractions.

    Everything else as it is. Raises whatever the value's own type raises.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if callable(getattr(value, "item", None)) and getattr(value, "size", 1) == 1:
        return value.item()
    return float(value) if hasattr(type(value), "__float__") else value


def plain(value: Any, *, texts: Texts, depth: int = 0) -> Any:
    """A copy made of dicts, lists, strings, numbers, booleans and None.

    Args:
        value: of the agent.
        texts: cleans what is text.
        depth: levels above it; what is deeper than can be stored is left as it is.

    Raises:
        NotPlainError: something in it is not JSON, or a number is too large.
        Exception: whatever a type of the agent's raises.
    """
    if depth > MAX_DEPTH + 1:
        return None
    if type(value) in _QUICK:
        return _scalar(value, texts)
    if isinstance(value, Mapping):
        return {
            _key(name, texts): plain(inner, texts=texts, depth=depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            inner if type(inner) is float else plain(inner, texts=texts, depth=depth + 1)
            for inner in value
        ]
    return _scalar(number(value), texts)


def _scalar(value: Any, texts: Texts) -> Any:
    if isinstance(value, str):
        return texts.clean(value)
    if value is None or isinstance(value, bool | float):
        return value
    if not isinstance(value, int):
        raise NotPlainError(f"{type(value).__name__} is not JSON")
    if value.bit_length() > _MOST_BITS:
        raise NotPlainError("must be a smaller number")
    return value


def _key(name: Any, texts: Texts) -> str:
    if isinstance(name, str):
        return texts.clean(name)
    if name is None or isinstance(name, bool):
        return {None: "null", True: "true", False: "false"}[name]  # as `json` has them
    if isinstance(name, int | float):
        return repr(name)
    raise NotPlainError(f"{type(name).__name__} is no name in JSON")

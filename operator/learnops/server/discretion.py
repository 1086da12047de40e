"""No personal data and no secret is told back or logged, wherever in a request it stood."""

import logging
import re
from collections import Counter
from types import TracebackType
from typing import Any, Final

import re2

from learnops.domain.redaction.redactor import Redactor

_LOOKED_AT: Final = 2000
_NAME_CHARACTERS: Final = 60
# Texts that are secrets by their form: a bearer token, a JWT, keys of well-known issuers.
_SECRET: Final[Any] = re2.compile(
    r"(?i:\bbearer\s+)[^\s'\"]{8,}"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}"
    r"|\b(?:sk|pk|rk|hf|ghp|gho|ghs|ghu|github_pat|glpat|xox[abeoprs])[-_][\w-]{8,}"
    r"|\bAKIA[0-9A-Z]{12,}"
)
# In a value that is refused there is nobody to recognise an id by, so that more may be masked.
_OPAQUE: Final = re.compile(r"[\w+/=.-]{24,}")
_DIGIT: Final = re.compile(r"\d")
_LETTER: Final = re.compile(r"[A-Za-z]")
_MASK: Final = "[secret]"


def discreet(text: str) -> str:
    """The text with marks like `[email]` and `[secret]` in the place of what must not be told."""
    # A lone surrogate, which JSON can escape, is no text for RE2 nor for the answer's encoding.
    readable = text.encode(errors="backslashreplace").decode()
    return Redactor().text(_SECRET.sub(_MASK, readable), found=Counter())


def named(name: str, *, characters: int = _NAME_CHARACTERS) -> str:
    """A field's name as an error tells it: a part of a path alone, as a number beside a dot is none
    of those that patterns look for. Cut after it was masked."""
    return discreet(name[:_LOOKED_AT])[:characters]


def shown(value: object, *, characters: int) -> str:
    """A refused value as an error tells it, cut to so many characters after it was masked.

    Cut before, half of an address would be left that no pattern knows.
    """
    if isinstance(value, str):
        value = _OPAQUE.sub(_opaque, discreet(value[:_LOOKED_AT]))
    elif isinstance(value, int) and not isinstance(value, bool):
        value = _number(value)
    return f"{value!r:.{characters}}"


def _opaque(run: re.Match[str]) -> str:
    """The mask for a run of letters and digits, both of them.

    Asked of what was found: looking ahead from each character takes time by the square of the
    length, a fifth of a second for each value of a batch that is refused.
    """
    mixed = _DIGIT.search(run[0]) is not None and _LETTER.search(run[0]) is not None
    return _MASK if mixed else run[0]


def _number(value: int) -> int | str:
    text = str(value) if abs(value) < 10**30 else "a number of over 30 digits"
    told = discreet(text)
    return value if told == text else told


class DiscreetFormatter(logging.Formatter):
    """Masks what is logged: an exception's text may hold what the database refused."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The message without what must not be told."""
        record.message = discreet(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802 - logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """The traceback without what must not be told."""
        return discreet(super().formatException(ei))

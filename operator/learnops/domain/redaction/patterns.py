"""What counts as personal data in free text, and in fields that say by their name what they hold.

Patterns run on RE2, whose time is linear in the text whatever stands there; it has no look-around,
so what may stand beside a match is checked afterwards, together with a checksum or range check
(python-stdnum) where there is one: an order number of sixteen digits stays. A number without any
separator is taken for a card only, because ids and times have nine or ten digits as well.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import re2
from stdnum import luhn
from stdnum.us import ssn

Span = tuple[int, int]
_CARD_GROUPS: Final = 5
_CARD_DIGITS: Final = (13, 19)
_LONGEST: Final = 40  # characters of a match, at most: a phone number with two signs a digit


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of personal data; `spans` finds where in a text it stands, in order."""

    name: str
    spans: Callable[[str], Iterator[Span]]

    @property
    def mark(self) -> str:
        """What stands there instead."""
        return f"[{self.name}]"


def _apart(text: str, span: Span, *, before: str = "_.+-", after: str = "_-") -> bool:
    """Whether a number stands on its own: no part of a longer number, word, digest or decimal.

    A hyphen or a point in front joins it to what stands before; where nothing does it is a bullet.
    """
    start, end = span
    if text[max(start - 1, 0) : start] in ("-", "."):
        before = before.replace(text[start - 1], "")
        joined = text[start - 2] if start > 1 else " "
        if joined.isalnum() or joined == "_":
            return False
    left = text[start - 1] if start else " "
    right = text[end] if end < len(text) else " "
    return not (left.isalnum() or left in before or right.isalnum() or right in after)


_EMAIL = re2.compile(r"[\pL\pN_.!#$%&'*+/=?^`{|}~-]+@[\pL\pN.-]+\.\pL\pL+")
_SSN = re2.compile(r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}")
# With a country code, or in the North American form of three, three and four digits.
_PHONE = re2.compile(
    r"\+\d{1,3}(?:[ .()-]{0,2}\d){6,12}"
    r"|(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}"
)
# A run of groups as long as it gets; with fewer digits than a card has it is none.
_MAYBE_CARDS = re2.compile(r"\d(?:[ -]?\d){12,}")


def _emails(text: str) -> Iterator[Span]:
    return (match.span() for match in _EMAIL.finditer(text))


def _found(pattern: Any, text: str, holds: Callable[[Span], bool]) -> Iterator[Span]:
    """Matches that hold; one that does not must not hide another that begins within it."""
    done = 0
    for match in pattern.finditer(text):
        span = match.span()
        if span[0] >= done and holds(span):
            yield span
            done = span[1]
        else:
            for inner in _within(pattern, text, (max(span[0], done), span[1]), holds):
                yield inner
                done = inner[1]


def _within(pattern: Any, text: str, place: Span, holds: Callable[[Span], bool]) -> Iterator[Span]:
    """Matches that hold and begin within this place.

    The search begins anew in a bounded piece only: in the whole text its time would be quadratic.
    """
    at, end = place
    while at < end:
        inner = pattern.search(text[at : end + _LONGEST])
        if inner is None or at + inner.start() >= end:
            return
        span = at + inner.start(), at + inner.end()
        if holds(span):
            yield span
            at = span[1]
        else:
            at = span[0] + 1


def _ssns(text: str) -> Iterator[Span]:
    def holds(span: Span) -> bool:
        number = text[slice(*span)].replace(" ", "-")
        return _apart(text, span) and bool(ssn.is_valid(number))

    return _found(_SSN, text, holds)


def _phones(text: str) -> Iterator[Span]:
    return _found(_PHONE, text, lambda span: _apart(text, span))


def _cards(text: str) -> Iterator[Span]:
    """Groups of digits, joined by single spaces or hyphens, that are a card together.

    Groups and not one long match: the number that follows a card must not hide it.
    """
    for match in _MAYBE_CARDS.finditer(text):
        start, end = match.span()
        groups = list(_groups(text[start:end], start))
        first = 0
        while first < len(groups):
            last = _card_from(text, groups, first)
            if last is not None:
                yield groups[first][0], groups[last][1]
                first = last
            first += 1


def _groups(run: str, start: int) -> Iterator[Span]:
    """Where the groups of a run stand that begins here in the text."""
    for digits in run.replace("-", " ").split(" "):
        yield start, start + len(digits)
        start += len(digits) + 1


def _card_from(text: str, groups: list[Span], first: int) -> int | None:
    """The last group of the card that begins with this one, None if none does."""
    size = 0
    for place in range(first, min(first + _CARD_GROUPS, len(groups))):
        start, end = groups[place]
        size += end - start
        if size > _CARD_DIGITS[1]:
            return None
        if size >= _CARD_DIGITS[0] and _is_card(text, (groups[first][0], end)):
            return place
    return None


def _is_card(text: str, span: Span) -> bool:
    if not _apart(text, span, after="_"):
        return False
    return bool(luhn.is_valid(text[slice(*span)].replace(" ", "").replace("-", "")))


KINDS: Final = (
    Kind(name="email", spans=_emails),
    Kind(name="card", spans=_cards),
    Kind(name="ssn", spans=_ssns),
    Kind(name="phone", spans=_phones),
)
"""In this order: a card is looked for before a phone number could take a part of it."""

BUILT_IN: Final = frozenset(kind.name for kind in KINDS)

SUSPECT: Final[Any] = re2.compile(r"@|\d[\d ().+-]{6}")
"""Nothing of the built-in kinds can stand in a text without one of these."""

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "email": ("email", "emailaddress", "mail", "useremail"),
    "card": ("card", "cardnumber", "creditcard", "creditcardnumber", "pan"),
    "ssn": ("ssn", "socialsecuritynumber"),
    "phone": ("phone", "phonenumber", "mobile", "mobilenumber", "telephone", "tel"),
}
FIELDS: Final[Mapping[str, str]] = {
    field: kind for kind, fields in _NAMES.items() for field in fields
}
"""Kind by a field's name in small letters without separators: its text or number is taken out
whatever it looks like."""

_SEPARATORS: Final = str.maketrans("", "", "-_ .")


def plain_name(field: str) -> str:
    """A field's name as FIELDS has it: `e-mail`, `E_Mail` and `eMail` are one."""
    return field[:64].translate(_SEPARATORS).lower()

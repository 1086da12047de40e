"""The built-in kinds in their plain form: what the quick one must find, to the character.

Every place that looks like a number is tried, each by RE2 and python-stdnum and without any look
ahead at what could be spared. Takes time that grows with the square of a text.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import re2
from stdnum import luhn
from stdnum.us import ssn

Span = tuple[int, int]

EMAIL = re2.compile(r"[\pL\pN_.!#$%&'*+/=?^`{|}~-]+@[\pL\pN.-]+\.\pL\pL+")
SSN = re2.compile(r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}")
PHONE = re2.compile(
    r"\+\d{1,3}(?:[ .()-]{0,2}\d){6,12}"
    r"|(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}"
)
RUN = re2.compile(r"\d(?:[ -]?\d)*")
GROUP = re2.compile(r"\d+")


def redacted(text: str) -> tuple[str, Counter[str]]:
    """The text with marks in the place of personal data, and how many of each kind."""
    found: Counter[str] = Counter()
    for name, spans in (("email", emails), ("card", cards), ("ssn", ssns), ("phone", phones)):
        kept, done = "", 0
        for start, end in list(spans(text)):
            kept, done = f"{kept}{text[done:start]}[{name}]", end
            found[name] += 1
        text = kept + text[done:]
    return text, found


def emails(text: str) -> Iterator[Span]:
    return (found.span() for found in EMAIL.finditer(text))


def ssns(text: str) -> Iterator[Span]:
    def holds(start: int, end: int) -> bool:
        number = text[start:end].replace(" ", "-")
        return apart(text, start, end) and bool(ssn.is_valid(number))

    return scanned(SSN, text, holds)


def phones(text: str) -> Iterator[Span]:
    return scanned(PHONE, text, lambda start, end: apart(text, start, end))


def cards(text: str) -> Iterator[Span]:
    """Up to five groups with 13 to 19 digits, the fewest that are a card, from the left."""
    for run in RUN.finditer(text):
        groups = [
            (run.start() + group.start(), run.start() + group.end())
            for group in GROUP.finditer(text[run.start() : run.end()])
        ]
        while groups:
            ends = [end for _, end in groups[:5] if is_card(text, groups[0][0], end)]
            if ends:
                yield groups[0][0], ends[0]
            groups = [it for it in groups[1:] if not ends or it[0] > ends[0]]


def is_card(text: str, start: int, end: int) -> bool:
    number = text[start:end].replace(" ", "").replace("-", "")
    if not 13 <= len(number) <= 19 or not apart(text, start, end, after="_"):
        return False
    return bool(luhn.is_valid(number))


def scanned(pattern: Any, text: str, holds: Callable[[int, int], bool]) -> Iterator[Span]:
    """Each match that holds, from the left; after one that does not the next place is tried."""
    at = 0
    while (found := pattern.search(text[at:])) is not None:
        start, end = at + found.start(), at + found.end()
        if holds(start, end):
            yield start, end
            at = end
        else:
            at = start + 1


def apart(text: str, start: int, end: int, *, after: str = "_-") -> bool:
    """Whether a number stands on its own."""
    left = text[start - 1] if start else " "
    right = text[end] if end < len(text) else " "
    if right.isalnum() or right in after:
        return False
    if left in "-.":  # a bullet, unless it joins the number to what stands before
        before = text[start - 2] if start > 1 else " "
        return not (before.isalnum() or before == "_")
    return not (left.isalnum() or left in "_+")

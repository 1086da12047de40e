"""Card numbers: groups of digits, joined by single spaces or hyphens, that are a card together.

Groups and not one long match: the number that follows a card must not hide it. python-stdnum says
what a card is; it takes microseconds, so it is asked only about what passes Luhn's sum here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from stdnum import luhn

from learnops.domain.redaction.apart import left_of

_GROUPS: Final = 5
_DIGITS: Final = (13, 19)

# All digits that are joined, from the first on: no try begins within a run, so that time is linear.
_RUN: Final = re.compile(
    r"[0-9](?<![0-9]{2})(?<![0-9][ -][0-9])"
    rf"(?=(?:[ -]?[0-9]){{{_DIGITS[0] - 1}}})"
    r"[0-9]*+(?:[ -][0-9]++)*+"
)
_BEGINS: Final = re.compile("[0-9]" + left_of("[0-9]"))
_ENDS: Final = re.compile(r"(?!\w)")

_SEPARATORS: Final = str.maketrans("", "", " -")
_PLAIN: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))


@dataclass(frozen=True, slots=True)
class _Run:
    """Groups that are joined.

    Attributes:
        digits: of all of them.
        offsets: how many digits stand before each group, and then how many there are.
        sums: of the first so many digits, by Luhn: where those at odd places count double, and
            where those at even ones do. A difference of two is the sum of the digits in between.
    """

    digits: str
    offsets: Sequence[int]
    sums: tuple[Sequence[int], Sequence[int]]

    def card_from(self, first: int, beyond: int) -> int | None:
        """The last group of the shortest card that begins with this one and ends before `beyond`,
        None if none does."""
        begin = self.offsets[first]
        if self.offsets[min(first + _GROUPS, beyond)] - begin < _DIGITS[0]:
            return None
        for last in range(first, min(first + _GROUPS, beyond)):
            end = self.offsets[last + 1]
            if end - begin >= _DIGITS[0]:
                if end - begin > _DIGITS[1]:
                    return None
                sums = self.sums[1 - end % 2]  # the last digit counts as it is
                if (sums[end] - sums[begin]) % 10 == 0 and luhn.is_valid(self.digits[begin:end]):
                    return last
        return None


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Where cards stand, in order."""
    for found in _RUN.finditer(text):
        yield from _in_run(text, found.start(), found.end())


def _in_run(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    run = _run_of(text[start:end])
    groups = len(run.offsets) - 1
    beyond = groups if _ENDS.match(text, end) else groups - 1
    first = 0 if _BEGINS.match(text, start) else 1
    while first < groups:
        begin = start + run.offsets[first] + first  # one separator between two groups
        # A hyphen within the run joins what follows to a digit. The first was looked at.
        if first == 0 or text[begin - 1] == " ":
            last = run.card_from(first, beyond)
            if last is not None:
                yield begin, start + run.offsets[last + 1] + last
                first = last
        first += 1


def _run_of(text: str) -> _Run:
    digits = text.translate(_SEPARATORS)
    plain = digits.encode().translate(_PLAIN)
    odd, even = bytearray(plain), bytearray(plain)
    doubled = digits.encode().translate(_DOUBLED)
    odd[1::2], even[::2] = doubled[1::2], doubled[::2]
    return _Run(
        digits,
        offsets=[0, *accumulate(map(len, text.replace("-", " ").split(" ")))],
        sums=(list(accumulate(odd, initial=0)), list(accumulate(even, initial=0))),
    )

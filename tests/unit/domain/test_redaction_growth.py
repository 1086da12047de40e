"""Redaction takes time linear in a text, whatever stands there, and asks python-stdnum rarely."""

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from stdnum import luhn
from stdnum.us import ssn

from learnops.domain.redaction import cards, patterns
from learnops.domain.redaction.redactor import Redactor

SIZE = 6_000
TIMES = 8
# Of a time that grows with the square it would be 64.
MOST = 3 * TIMES


def drawn(alphabet: str) -> str:
    return "".join(random.Random(7).choices(alphabet, k=997))


UNITS = {
    "one long number": "1",
    "single digits": "1 ",
    "single digits by hyphens": "1-",
    "no card by its sum": "4111 1111 1111 1112 ",
    "each group begins a card": "4111 1111 1111 1111 1 1 1 ",
    "many sizes of groups": "123456789 1234 1 1 1 ",
    "cards": "4111111111111111,",
    "never given out": "000-90-4399 ",
    "refused by stdnum, were it asked": "078-05-1120 ",
    "one within the other": "111-11-1111-11-",
    "phones": "415-555-2671 ",
    "no phones": "x1 415-555-26711\n",
    "one phone after the other": "415-555-2671-",
    "country codes": "+1 1 1-1",
    "signs of phones": "+(1)",
    "at": "@",
    "at and letters": "a@",
    "nearly addresses": "a@b.c1",
    "addresses": "a@b.cd ",
    "points": "a@b.",
    "hyphens": "-",
    "hyphens beside a digit": "1--",
    "points and digits": "1.",
    "other digits": "٣-٣٣٣ ",
    "other letters": "é@ß.",
    "digits and separators": drawn("0123456789 -"),
    "all of numbers": drawn("0123456789 .()+-_"),
    "all": drawn("01239 .()+-_@x٣é"),
}
OWN = {
    "employee": r"EMP-\d{6}",
    "word": r"(?i)x+y",
    "long": r"[0-9 -]{9,40}z",
    "any": r"\d+[.]\d+:",
}


def seconds(done: Callable[[], object]) -> float:
    """Processor time of this thread, the least of some tries: what else runs must not count."""
    taken = []
    for _ in range(4):
        began = time.thread_time()
        done()
        taken.append(time.thread_time() - began)
    return min(taken)


@pytest.mark.parametrize("unit", UNITS.values(), ids=list(UNITS))
@pytest.mark.parametrize("own", [{}, OWN], ids=["built-in", "own"])
def test_time_grows_as_the_text_does(unit: str, own: dict[str, str]) -> None:
    redactor = Redactor(own)

    def redacting(size: int) -> Callable[[], object]:
        text = unit * (size // len(unit) + 1)
        return lambda: redactor.text(text, found=Counter())

    redacting(SIZE)()
    assert seconds(redacting(TIMES * SIZE)) < MOST * seconds(redacting(SIZE))


class Asked:
    """Stands before a validator; notes what it was asked, and what it said."""

    def __init__(self, is_valid: Callable[[str], bool]) -> None:
        self._is_valid = is_valid
        self.said: list[tuple[str, bool]] = []

    def is_valid(self, number: str) -> bool:
        self.said.append((number, bool(self._is_valid(number))))
        return self.said[-1][1]


@pytest.mark.parametrize("unit", UNITS.values(), ids=list(UNITS))
def test_stdnum_is_asked_about_what_it_takes_alone(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"card": Asked(luhn.is_valid), "ssn": Asked(ssn.is_valid)}
    monkeypatch.setattr(cards, "luhn", asked["card"])
    monkeypatch.setattr(patterns, "ssn", asked["ssn"])
    found = Counter[str]()
    Redactor().text(unit * 50, found=found)
    for kind, by in asked.items():
        assert [number for number, taken in by.said if not taken] == []
        assert len(by.said) == found[kind]

"""The quick form of the built-in kinds finds what the plain form finds, in any text."""

import re
import sys
from collections import Counter

import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.us import ssn

from learnops.domain.redaction import patterns
from learnops.domain.redaction.redactor import Redactor
from tests.property.redaction import plain

PIECES = (
    # Numbers of each kind, and what they are made of.
    *("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005"),
    *("0000000000000", "4222222222222", "1111", "11 11", "3782 822463 10005", "79927398713"),
    *("536-90-4399", "536 90 4399", "078-05-1120", "000-12-3456", "666-12-3456", "900-12-3456"),
    *("536-00-4399", "536-90-0000", "536-90", "90 4399"),
    *("415-555-2671", "(415) 555-2671", "(415)555.2671", "1-415-555-2671", "1 (415) 555-2671"),
    *("+49 30 901820", "+1 (415) 555.2671", "+123456", "+", "(", ")", "1 ", "415", "555-"),
    *("jane@example.com", "a@b", "@", ".de", ".d", "é@münchen.de", "x@y.ß", "x@y.ßß", "@٣.٣٣"),
    # What may stand beside them or in them.
    *("0", "1", "6", "9", " ", "-", ".", "_", ",", "\n", "  ", "--", "- ", "x", "é", "٣", "²", "Ⅷ"),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.text(alphabet="0123456789 -", max_size=60),
    st.text(alphabet="0123456789 .()+-_x", max_size=50),
    st.text(alphabet="01 -", max_size=40),
    st.text(alphabet="a1@.-_é٣", max_size=30),
    st.text(max_size=30),
)


def quick(text: str) -> tuple[str, Counter[str]]:
    found: Counter[str] = Counter()
    return Redactor().text(text, found=found), found


@settings(max_examples=1500)
@given(TEXTS)
@example("1 536-90-4399")
@example("078-05-1120 536-90-4399-078-05-1120")
@example("21 415-555-26711 415-555-2671")
@example("4111 1111 1111 1111 1111 1111 1111 1111")
@example("-4111-1111-1111-1111-")
def test_the_quick_form_finds_the_same(text: str) -> None:
    assert quick(text) == plain.redacted(text)


@settings(max_examples=500)
@given(TEXTS)
def test_of_what_is_found_in_a_text_the_first_look_sees_something(text: str) -> None:
    """One kind at a time, where what is found of another cannot hide it."""
    by_name = {kind.name: kind for kind in patterns.KINDS}
    for name, spans in (
        ("email", plain.emails),
        ("card", plain.cards),
        ("ssn", plain.ssns),
        ("phone", plain.phones),
    ):
        wanted = list(spans(text))
        assert list(by_name[name].spans(text)) == wanted, name
        assert not wanted or patterns.is_suspect(text), name
        assert not wanted or patterns.is_suspect(text + 300 * " "), name


@settings(max_examples=300)
@given(st.text(alphabet="0123456789", min_size=13, max_size=19))
def test_each_number_that_stdnum_takes_for_a_card_is_one(number: str) -> None:
    card = number[:-1] + str(luhn.calc_check_digit(number[:-1]))
    assert quick(card)[0] == "[card]"
    assert (quick(number)[0] == "[card]") is luhn.is_valid(number)


def test_each_number_that_stdnum_takes_for_an_ssn_is_one() -> None:
    """All areas, beside groups and serial numbers where a rule begins or ends."""
    rest = ("00-0001", "01-0000", "01-0001", "05-1120", "55-5462", "09-9999", "99-9999")
    for number in (f"{area:03d}-{each}" for area in range(1000) for each in rest):
        assert (quick(number)[0] == "[ssn]") is ssn.is_valid(number), number
        assert (quick(number.replace("-", " "))[0] == "[ssn]") is ssn.is_valid(number), number


def test_re_and_str_agree_about_letters_in_every_script() -> None:
    word = re.compile(r"\w")
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        assert (word.match(letter) is not None) is (letter.isalnum() or letter == "_"), code


SINGLE = (
    *("EMP-[0-9]+", "(?i)emp", "^x", "a$", r"\bcase\b", "[0-9]{3}", "(?P<n>b)", "(?P<n>c)"),
    *(r"\Qa.b", r"\[employee\]", "(?s)a.c", r"\pL{4}", r"a\z", "x|y", "(?i)b|C"),
)
OWN = st.dictionaries(
    st.sampled_from(["employee", "badge", "case", "word"]), st.sampled_from(SINGLE), max_size=4
)


@settings(max_examples=500)
@given(OWN, st.text(alphabet="aAbcEMPemp-x 012[]\n.", max_size=25))
def test_the_doers_own_patterns_are_as_one_after_the_other(own: dict[str, str], text: str) -> None:
    wanted, counted = text, Counter[str]()
    for name, pattern in own.items():
        wanted, count = re2.subn(pattern, f"[{name}]", wanted)
        counted += Counter({name: count})
    found: Counter[str] = Counter()
    assert Redactor(own).text(text, found=found) == wanted
    assert +found == counted

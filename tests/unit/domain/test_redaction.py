"""What is taken out of free content, and what stays."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnops.domain.redaction.redactor import InvalidPatternError, Redactor, characters


def redacted(value, **patterns):
    found = Counter()
    return Redactor(patterns).content(value, found=found), dict(found)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("write to jane.doe+x@example.co.uk.", "write to [email]."),
        ("é@münchen.de,b@c.io", "[email],[email]"),
        ("pay 4111 1111 1111 1111 now", "pay [card] now"),
        ("4111-1111-1111-1111", "[card]"),
        ("4111111111111111 123", "[card] 123"),  # the number behind it does not hide it
        ("12 378282246310005", "12 [card]"),
        ("ssn 536-90-4399, 536 90 4399", "ssn [ssn], [ssn]"),
        ("call (415) 555-2671, 1-415-555-2671", "call [phone], [phone]"),
        ("+49 30 901820 or +1 (415) 555.2671", "[phone] or [phone]"),
        # What is no match of its own must not hide the one that begins within it.
        ("Order 21 415-555-2671", "Order 21 [phone]"),
        ("21 415-555-2671 31 (415) 555-2671", "21 [phone] 31 [phone]"),
        ("a+1 415-555-2671", "a+1 [phone]"),
        ("123-45-6789 536-90-4399", "[ssn] [ssn]"),
        # A bullet without a space.
        ("-415-555-2671, .4111 1111 1111 1111", "-[phone], .[card]"),
        ("-536-90-4399\n-4111111111111111", "-[ssn]\n-[card]"),
    ],
)
def test_personal_data_in_text_is_taken_out(text, kept):
    assert redacted(text)[0] == kept


@pytest.mark.parametrize(
    "text",
    [
        "order 4111 1111 1111 1112",  # no card: its checksum is wrong
        "000-12-3456 and 666-12-3456",  # never given out
        "2026-11-21 07:39:31 at 1700000000",
        "sha 4111111111111111a, v1.2.3, 192.168.100.200",
        "loss 0.4111111111111111",
        "run 81f3-4111-1111",
        "a @ b, @mention, x@localhost",
        "415-555-267 and 415-555-26711",
        "21 415-555-26711, x-415-555-2671, 7.4111111111111111, x_-415-555-2671",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert redacted(text) == (text, {})


def test_a_field_that_says_what_it_holds_is_taken_out_whatever_it_looks_like():
    value = {
        "e-mail": "at home",
        "Phone_Number": 4155552671,
        "cardNumber": "",
        "contact": {"SSN": None, "note": ["a@b.de", 7, True]},
        "pan": {"depth": "a@b.de"},
    }
    assert redacted(value) == (
        {
            "e-mail": "[email]",
            "Phone_Number": "[phone]",
            "cardNumber": "",
            "contact": {"SSN": None, "note": ["[email]", 7, True]},
            "pan": {"depth": "[email]"},
        },
        {"email": 3, "phone": 1},
    )


def test_a_field_that_says_what_it_holds_may_hold_several():
    value = {
        "phone": ["4155552671", [4155552672], None, True, "", 0.75],
        "ssn": (536904399.0, {"of": "a@b.de", "number": 536904399}),
    }
    assert redacted(value) == (
        {
            "phone": ["[phone]", ["[phone]"], None, True, "", 0.75],
            "ssn": ["[ssn]", {"of": "[email]", "number": 536904399}],
        },
        {"phone": 2, "ssn": 1, "email": 1},
    )
    assert Redactor().may_find({"phone": ["4155552671"]})


def test_names_of_fields_are_redacted_and_no_value_is_lost():
    value = {"[email]": 0, "a@b.de": 1, "c": {"4111 1111 1111 1111": 2}, "d@e.fr": [{"f@g.it": 3}]}
    assert redacted(value) == (
        {"[email]": 0, "[email] 2": 1, "c": {"[card]": 2}, "[email] 3": [{"[email]": 3}]},
        {"email": 3, "card": 1},
    )
    assert Redactor().may_find({"a": [{"b": {"c@d.de": 1}}]})
    assert Redactor().may_find({}, names=["grounding", "by c@d.de"])
    assert not Redactor().may_find({}, names=["grounding", "415-55", "5-2671"])


def test_a_map_by_address_keeps_each_value_in_linear_time():
    mails = {f"u{place}@b.de": place for place in range(20_000)} | {"[email] 3": -1}
    cleaned, _ = redacted(mails)
    assert list(cleaned)[:3] == ["[email]", "[email] 2", "[email] 4"]
    assert list(cleaned.values()) == list(mails.values())


def test_characters_are_those_of_texts_and_names():
    assert characters({"ab": ["cde", 1, None, {"f": ""}]}) == 6


def test_a_doers_own_patterns_are_taken_out_beside_the_built_in_ones():
    text = "EMP-123456 wrote to a@b.de about EMP-12"
    assert redacted(text, employee=r"EMP-\d{6}") == (
        "[employee] wrote to [email] about EMP-12",
        {"email": 1, "employee": 1},
    )


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "own: is no RE2 pattern (missing ): ()"),
        (r"(?<=x)y", "own: is no RE2 pattern (invalid perl operator: (?<=)"),
        ("x*", "own: must not match the empty text: it would match anywhere"),
        ("", "own: must have 1 to 512 characters"),
        ("x" * 513, "own: must have 1 to 512 characters"),
        ("(x{1000}){1000}", "own: is no RE2 pattern (invalid repetition size: {1000})"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named(pattern, message):
    with pytest.raises(InvalidPatternError) as error:
        Redactor({"own": pattern})
    assert str(error.value) == message


@given(
    content=st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(max_size=30)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_redaction_keeps_the_shape_and_once_is_enough(content):
    once, _ = redacted(content)
    assert redacted(once)[0] == once
    if isinstance(content, dict):
        assert len(once) == len(content)
    if isinstance(content, list):
        assert len(once) == len(content)


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_an_address_is_found_whatever_stands_around_it(before, after):
    text = f"{before} jane@example.com {after}"
    assert "jane@example.com" not in redacted(text)[0]


@given(
    before=st.text(alphabet="0123456789 .-()+", max_size=12).map(lambda it: it + "1 "),
    number=st.sampled_from(["415-555-2671", "(415) 555-2671", "415.555.2671"]),
)
def test_a_phone_number_is_found_whatever_number_stands_before_it(before, number):
    assert number not in redacted(f"{before}{number}, x")[0]


_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["a@b.de", "415-555-2671", "4111 1111", "536-90-4399", "pan", "e-mail", "7"]),
)


@given(
    content=st.recursive(
        st.one_of(st.none(), st.integers(), _TEXTS),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_the_quick_look_overlooks_nothing(content):
    cleaned, found = redacted(content)
    if not Redactor().may_find(content):
        assert (cleaned, found) == (content, {})


@pytest.mark.parametrize(
    ("content", "may"),
    [
        (
            {"verdict": "accepted", "score": 0.91, "steps": [{"uri": "s3://runs/12/patch.diff"}]},
            False,
        ),
        ({"steps": [{"note": "a@b.de"}]}, True),
        ({"steps": [{"Card Number": 4111111111111111}]}, True),
        # A text may not be looked at together with its neighbour.
        ({"a": "415-55", "b": "5-2671"}, False),
    ],
)
def test_the_quick_look_spares_what_is_plainly_harmless(content, may):
    assert Redactor().may_find(content) is may
    assert Redactor({"own": "x"}).may_find(content)  # a doer's own patterns are always tried

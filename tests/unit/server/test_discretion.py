"""What may be told back and logged."""

import logging
import sys
import time
from types import TracebackType

import pytest

from learnops.server.discretion import DiscreetFormatter, discreet, named, shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("send Authorization: Bearer TOKEN", "send Authorization: Bearer TOKEN"),
        ("got 'Bearer abcdefgh1' here", "got '[secret]' here"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIi.c2ln, then", "[secret], then"),
        ("sk-test-12345678", "[secret]"),
        ("desk-lamp and risk-averse", "desk-lamp and risk-averse"),
        ("of ada@example.org", "of [email]"),
        (
            "run '0198f3c2-7a31-7c55-b1b0-5f7d0c2b9a11'",
            "run '0198f3c2-7a31-7c55-b1b0-5f7d0c2b9a11'",
        ),
        ("a lone \ud800 of ada@example.org", "a lone \\ud800 of [email]"),
    ],
)
def test_secrets_and_personal_data_are_masked_and_ids_are_not(text: str, told: str) -> None:
    assert discreet(text) == told


def test_a_value_is_cut_after_it_was_masked() -> None:
    assert shown("x" * 50 + " ada.lovelace@example.org", characters=60) == f"'{'x' * 50} [email]'"
    assert named("y" * 50 + " ada.lovelace@example.org") == f"{'y' * 50} [email]"
    assert shown("k3y" * 10, characters=60) == "'[secret]'"
    assert shown(4111111111111111, characters=60) == "'[card]'"
    assert shown(2026, characters=60) == "2026"
    assert shown(None, characters=60) == "None"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a" * 2000, "a" * 2000),
        ("1" * 2000, "1" * 2000),
        ("a." * 1000, "a." * 1000),
        ("é" * 1999 + "1", "é" * 1999 + "1"),
        ("a" * 1999 + "1", "[secret]"),
        ("1" * 23 + "a", "[secret]"),
        ("1" * 22 + "a", "1" * 22 + "a"),
        ("1" * 30 + " " + "a" * 30, "1" * 30 + " " + "a" * 30),
    ],
    ids=range(8),
)
def test_letters_and_digits_in_a_row_are_masked_in_linear_time(value: str, told: str) -> None:
    # 8,000 such values fit into one batch, for which nobody needs a right. By the square of their
    # length a hundred took 20 s.
    began = time.process_time()
    for _ in range(100):
        assert shown(value, characters=3000) == repr(told)
    assert time.process_time() - began < 4


def test_a_name_beside_a_dot_is_masked_as_it_is_alone() -> None:
    assert f"metrics.{named('536-90-4399')}" == "metrics.[ssn]"


def test_a_log_line_and_its_traceback_are_masked() -> None:
    def caught() -> tuple[type[BaseException], BaseException, TracebackType | None]:
        try:
            raise ValueError("row (ada@example.org)")
        except ValueError as error:
            return type(error), error, sys.exc_info()[2]

    record = logging.LogRecord(
        "n", logging.ERROR, __file__, 1, "of %s", ("bob@example.org",), caught()
    )
    told = DiscreetFormatter("%(message)s").format(record)
    assert told.startswith("of [email]\n")
    assert "ValueError: row ([email])" in told
    assert "example.org" not in told

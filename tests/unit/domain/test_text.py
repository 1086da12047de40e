"""Names as people write them, and what is none."""

import pytest

from learnops.domain.text import has_controls


@pytest.mark.parametrize(
    "text",
    [
        "Soci\u00e9t\u00e9\u00a0G",  # a space that does not break
        "\u682a\u5f0f\u3000\u4f1a\u793e",  # a wide space
        "\u0634\u0631\u0643\u0629\u200f",  # a mark of direction
        "\U0001f468\u200d\U0001f469",  # a joiner
        "\ue000",  # somebody's own
    ],
)
def test_what_writing_systems_need_is_no_control_character(text: str) -> None:
    assert not has_controls(text)


@pytest.mark.parametrize(
    "odd", ["\n", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]
)
def test_control_characters_line_ends_and_lone_surrogates_are(odd: str) -> None:
    assert has_controls(f"a{odd}b")

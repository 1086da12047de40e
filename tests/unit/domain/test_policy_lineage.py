"""Lineage in the words that a condition shows."""

from learnops.domain.policy.lineage import LineageCycle, MissingParent, TooManyAncestors, lineage


def test_ancestors_are_told_oldest_first() -> None:
    assert lineage("v3", {"v1": None, "v2": "v1", "v3": "v2"}) == ("v1", "v2")


def test_missing_parent_says_whose_and_the_way_out() -> None:
    found = lineage("v3", {"v2": "v1", "v3": "v2"})
    assert isinstance(found, MissingParent)
    assert found.message == (
        "spec.parentRef of v2 names v1, which is no policy of this doer; "
        "apply v1, or create v2 anew without parentRef"
    )


def test_cycle_is_shown_once_around_even_from_outside() -> None:
    found = lineage("v4", {"v1": "v3", "v2": "v1", "v3": "v2", "v4": "v3"})
    assert isinstance(found, LineageCycle)
    assert found.message == (
        "spec.parentRef goes in a circle (v3 -> v2 -> v1 -> v3); create one of them anew without it"
    )


def test_more_than_a_hundred_ancestors_are_refused() -> None:
    line = [f"v{number}" for number in range(102)]
    found = lineage(line[-1], dict(zip(line, [None, *line], strict=False)))
    assert isinstance(found, TooManyAncestors)
    assert found.message == (
        "v101 has more than 100 ancestors; create it anew without parentRef to start a new line"
    )

"""Lineage: total on any graph of parents, and right where it is a tree."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from learnops.domain.policy.lineage import (
    MOST_ANCESTORS,
    LineageCycle,
    MissingParent,
    TooManyAncestors,
    lineage,
)

NAMES = [f"p{number}" for number in range(8)]
graphs = st.dictionaries(st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES), min_size=1)


@given(graphs)
def test_each_answer_is_true_of_the_graph(parents: Mapping[str, str | None]) -> None:
    for name in parents:
        match lineage(name, parents):
            case MissingParent(child=child, parent=parent):
                assert parents[child] == parent
                assert parent not in parents
            case LineageCycle(names=names):
                following = (*names[1:], names[0])
                assert [parents[each] for each in names] == list(following)
            case tuple() as ancestors:
                line = (*ancestors, name)
                assert parents[line[0]] is None
                assert [parents[child] for child in line[1:]] == list(ancestors)
            case other:
                raise AssertionError(f"{other} in a graph of {len(parents)}")


@given(st.integers(min_value=0, max_value=MOST_ANCESTORS + 3))
def test_depth_is_bounded(ancestors: int) -> None:
    line = [f"p{number}" for number in range(ancestors + 1)]
    parents = dict(zip(line, [None, *line], strict=False))
    found = lineage(line[-1], parents)
    if ancestors <= MOST_ANCESTORS:
        assert found == tuple(line[:-1])
    else:
        assert found == TooManyAncestors(name=line[-1])

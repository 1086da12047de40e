"""The same stories, killed at any action and seen late: the same end, and no law broken."""

import pytest

from tests.simulation.play import by_chance, hurried, in_order, outcome
from tests.simulation.stories.every import STORIES

SEEDS = range(12)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_killed_anywhere_comes_to_the_same_end(name: str) -> None:
    expected = outcome(in_order(STORIES[name]))
    for seed in SEEDS:
        assert outcome(by_chance(STORIES[name], seed)) == expected, f"seed {seed}"


@pytest.mark.parametrize("name", sorted(STORIES))
def test_laws_hold_when_people_do_not_wait(name: str) -> None:
    for seed in SEEDS:
        world = hurried(STORIES[name], seed)
        assert world.lines

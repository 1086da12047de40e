"""Whole rollouts, told by the planner's own log. `pytest --update-golden` rewrites the logs."""

from pathlib import Path

import pytest

from tests.simulation.play import in_order
from tests.simulation.stories.every import STORIES

HERE = Path(__file__).parent / "stories"


@pytest.mark.parametrize("name", sorted(STORIES))
def test_story_reads_as_before(name: str, request: pytest.FixtureRequest) -> None:
    world = in_order(STORIES[name])
    told = "\n".join([name.replace("-", " ").capitalize(), *world.lines, ""])
    kept = HERE / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        HERE.mkdir(exist_ok=True)
        kept.write_text(told)
    assert told == kept.read_text()


def test_every_log_has_its_story() -> None:
    assert {it.stem for it in HERE.glob("*.txt")} == set(STORIES)

"""What a story is made of: acts, and time between them."""

from collections.abc import Callable
from typing import TypeAlias

from tests.simulation.world import World

Beat: TypeAlias = Callable[[World], None]


def wait(**delta: float) -> Beat:
    """Time passes."""

    def beat(world: World) -> None:
        world.advance(**delta)
        world.say("time has passed")

    return beat


def together(*acts: Beat) -> Beat:
    """All of them before the operator looks."""

    def beat(world: World) -> None:
        for act in acts:
            act(world)

    return beat

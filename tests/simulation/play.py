"""Play a story: in order, or with every pass stopped and every change seen late by chance."""

import random

from learnops.api.canary import CanaryDeployment
from learnops.api.doer import Doer
from tests.simulation.acts.beats import Beat
from tests.simulation.journal import sum_up
from tests.simulation.store import NotThereError
from tests.simulation.world import World


def in_order(story: list[Beat]) -> World:
    """Each beat, then the operator until nothing is left to do."""
    world = World()
    for beat in story:
        beat(world)
        world.settle()
    world.lines += ["", "In the end", *(f"  {line}" for line in sum_up(world.objects()))]
    return world


def by_chance(story: list[Beat], seed: int) -> World:
    """As in order, but killed after any action, and with what people did last seen late."""
    world = World(chance=random.Random(seed))
    for beat in story:
        beat(world)
        world.settle()
    return world


def hurried(story: list[Beat], seed: int) -> World:
    """Beats come before the operator is done with those before; it only catches up at the end."""
    chance = random.Random(seed)
    world = World(chance=chance)
    for beat in story:
        try:
            beat(world)
        except NotThereError:
            continue  # a person's order to something that is not there (yet) does not happen
        for _ in range(chance.randint(0, 4)):
            world.one_pass()
    world.settle()
    return world


def outcome(world: World) -> dict[str, object]:
    """What a story came to, without what may differ: times, revisions, versions, wording."""
    came_to: dict[str, object] = {}
    for obj in world.objects():
        name = f"{obj.kind}/{obj.metadata.name}"
        match obj:
            case Doer(status=status):
                traffic = status.traffic
                came_to[name] = (
                    traffic and (traffic.active, traffic.canary, traffic.shares),
                    traffic and traffic.active_backend,
                    status.previous_policy,
                    status.handled_policy_ref,
                    _reasons(status.conditions),
                )
            case CanaryDeployment(status=status):
                told = [(it.name, it.attempt, it.verdict) for it in status.candidates]
                shares = status.shares
                came_to[name] = (status.stage, status.step, status.retries, shares, told)
            case _:
                gates = [it.outcome for it in obj.status.gates]
                came_to[name] = (obj.status.stage, gates)
    came_to["record"] = sorted((row.policy, row.to_stage) for row in world.log.rows.values())
    came_to["route"] = world.route.weights
    return came_to


def _reasons(conditions: object) -> dict[str, tuple[str, str]]:
    assert isinstance(conditions, tuple)
    return {it.type: (it.status, it.reason) for it in conditions}

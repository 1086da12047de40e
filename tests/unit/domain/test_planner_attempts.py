"""Attempts: whatever stands in a canary's way for a while, no try of a content goes uncounted."""

from learnops.api.canary import CanaryDeployment, CanaryStage, CanaryStatus
from tests.simulation import objects
from tests.simulation.world import World

TEXT = "You are the one content."


def test_another_try_of_the_content_meanwhile_is_counted() -> None:
    """Prepared as attempt 1 and then blocked; attempt 1 is what another canary used up."""
    world = World()
    world.store.create(objects.doer(policy="v1"), at=world.now)
    world.store.create(objects.policy("v1"), at=world.now)
    world.settle()
    _try(world, "v2", canary="first")
    world.one_pass()
    world.one_pass()
    assert _status(world, "first").candidates[0].attempt == 1
    assert _status(world, "first").stage is CanaryStage.PENDING
    world.store.delete("Policy", "v2", at=world.now)
    world.settle()
    _try(world, "v2-again", canary="second")
    world.settle()
    assert _status(world, "second").candidates[0].attempt == 1
    world.store.delete("CanaryDeployment", "second", at=world.now)
    world.settle()
    world.store.create(objects.policy("v2", text=TEXT), at=world.now)
    world.settle()
    first = _status(world, "first")
    assert (first.stage, first.candidates[0].attempt) == (CanaryStage.CANARY, 2)


def _try(world: World, policy: str, *, canary: str) -> None:
    world.store.create(objects.policy(policy, text=TEXT), at=world.now)
    world.store.create(objects.canary(canary, candidate=policy), at=world.now)


def _status(world: World, canary: str) -> CanaryStatus:
    found = world.store.get("CanaryDeployment", canary)
    assert isinstance(found, CanaryDeployment)
    return found.status

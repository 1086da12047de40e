"""Generations where the run log and the status do not tell the same yet."""

from dataclasses import replace

from learnops.api.canary import CanaryDeployment, CanaryStage, CanaryStatus, Verdict
from tests.simulation import objects
from tests.simulation.acts.mishaps import run_log
from tests.simulation.acts.people import reweigh
from tests.simulation.evidence import BETTER, BETTER_BY_FAR, WORSE
from tests.simulation.world import World


def started() -> World:
    """A canary of v2 with its first traffic."""
    world = World()
    for made in (objects.doer(policy="v1"), objects.policy("v1")):
        world.store.create(made, at=world.now)
    world.settle()
    for made in (objects.policy("v2"), objects.canary("c1", candidate="v2")):
        world.store.create(made, at=world.now)
    world.settle()
    return world


def status(world: World) -> CanaryStatus:
    """The canary's."""
    found = world.store.get("CanaryDeployment", "c1")
    assert isinstance(found, CanaryDeployment)
    return found.status


def test_nothing_is_promoted_while_a_generation_cannot_be_put_on_record() -> None:
    world = started()
    reweigh(securityCriticals="1")(world)
    run_log(up=False)(world)
    world.sources.truth["v2"] = BETTER
    world.settle()
    assert (status(world).stage, status(world).generation) == (CanaryStage.CANARY, 1)
    run_log(up=True)(world)
    world.settle()
    assert (status(world).stage, status(world).generation) == (CanaryStage.CANARY, 2)
    assert status(world).candidates[0].verdict is Verdict.CONTINUE


def test_worse_is_rolled_back_while_a_generation_cannot_be_put_on_record() -> None:
    world = started()
    reweigh(securityCriticals="1")(world)
    run_log(up=False)(world)
    world.settle()
    world.sources.truth["v2"] = WORSE
    world.settle()
    assert status(world).stage is CanaryStage.ROLLED_BACK


def test_late_runs_of_the_old_weights_roll_back_and_the_message_says_so() -> None:
    world = started()
    ((first,),) = world.log.generations.values()
    reweigh(securityCriticals="1")(world)
    world.settle()
    assert status(world).generation == 2
    world.sources.truth["v2"] = replace(WORSE, generation=first)
    world.settle()
    told = status(world)
    assert told.stage is CanaryStage.ROLLED_BACK
    assert told.history[-1].message.endswith("(e-value 26), by the weights of generation 1")


def test_an_attempt_is_what_the_record_says() -> None:
    """The status may have been restored, or lost its figures."""
    world = started()
    reweigh(securityCriticals="1")(world)
    world.settle()
    told = status(world)
    wrong = (told.candidates[0].model_copy(update={"attempt": 1}),)
    restored = told.model_copy(update={"candidates": wrong, "crl_digest": "v1:other"})
    world.store.edit_status("CanaryDeployment", "c1", restored)
    world.settle()
    assert status(world).candidates[0].attempt == 2
    assert status(world).crl_digest == told.crl_digest
    assert len(status(world).history) == len(told.history)
    ((first, _),) = world.log.generations.values()
    world.log.generations = {key: [first] for key in world.log.generations}
    reweigh(grounding="1")(world)
    world.settle()
    assert (status(world).generation, status(world).candidates[0].attempt) == (1, 1)
    world.sources.truth["v2"] = BETTER_BY_FAR
    world.settle()
    assert status(world).stage is CanaryStage.PROMOTED

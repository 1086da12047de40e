"""Counting of breaches: what is one look, what is old, and what a restart finds."""

from datetime import timedelta

import pytest

from learnops.api.canary import CanaryDeployment, CanaryStage
from learnops.api.guardrails import QueryStatus
from learnops.domain.observed import QueryReading
from tests.simulation.acts.people import begin
from tests.simulation.evidence import BETTER, BROKEN_TERM
from tests.simulation.play import in_order
from tests.simulation.stories.queries import watched
from tests.simulation.world import World


@pytest.fixture
def world() -> World:
    """A canary with a bound of 2.5 on p95, before the first answer."""
    return in_order([*begin(), watched()])


def told(world: World, value: float, *, ago: float = 0.0) -> QueryStatus:
    """The status after an answer that was evaluated some seconds ago."""
    world.sources.answers["v2"] = QueryReading(value=value, at=world.now - timedelta(seconds=ago))
    world.settle()
    (found,) = canary(world).status.candidates[0].queries
    return found


def canary(world: World) -> CanaryDeployment:
    found = world.store.get("CanaryDeployment", "try-v2")
    assert isinstance(found, CanaryDeployment)
    return found


def test_the_bound_itself_is_well(world: World) -> None:
    assert told(world, 2.5).breaches == 0
    assert told(world, 2.500001).breaches == 1


def test_one_answer_is_one_breach_however_often_it_is_looked_at(world: World) -> None:
    for seconds in range(60):
        assert told(world, 3.0, ago=seconds).breaches == 1
        world.advance(seconds=1)


@pytest.mark.parametrize("tick_seconds", [1, 10])
def test_breaches_are_a_tick_apart(world: World, tick_seconds: int) -> None:
    spacing = 0.9 * tick_seconds
    world.sources.query_spacing = timedelta(seconds=spacing)
    assert told(world, 3.0).breaches == 1
    world.advance(seconds=spacing - 0.01)
    assert told(world, 3.0).breaches == 1
    world.advance(seconds=0.01)
    assert told(world, 3.0).breaches == 2


def test_an_older_answer_does_not_clear_a_newer_breach(world: World) -> None:
    assert told(world, 3.0).breaches == 1
    assert told(world, 1.0, ago=5).breaches == 1
    world.advance(seconds=1)
    assert told(world, 1.0).breaches == 0


@pytest.mark.parametrize("ago", [121, -121])
def test_an_answer_of_another_time_is_stale(world: World, ago: float) -> None:
    world.sources.truth["v2"] = BETTER
    for _ in range(4):
        found = told(world, 1.0, ago=ago)
        assert (found.value, found.reason, found.breaches) == (None, "StaleData", 0)
        world.advance(seconds=30)
    assert canary(world).status.stage is CanaryStage.CANARY
    assert canary(world).status.waiting_for.startswith("guardrail p95: StaleData: ")
    assert told(world, 1.0, ago=120).reason is None
    assert canary(world).status.stage is CanaryStage.PROMOTED


def test_an_unknown_answer_keeps_the_count_and_hides_the_old_value(world: World) -> None:
    assert told(world, 3.0).breaches == 1
    found = told(world, 3.0, ago=500)
    assert (found.value, found.breaches) == (None, 1)


def test_the_query_is_named_as_the_culprit(world: World) -> None:
    world.sources.truth["v2"] = BETTER
    for _ in range(3):
        told(world, 3.0)
        world.advance(seconds=10)
    status = canary(world).status
    assert status.stage is CanaryStage.ROLLED_BACK
    evidence = status.candidates[0].evidence
    assert evidence is not None
    assert evidence.culprit == "p95"


def test_a_test_that_decided_names_its_own_culprit(world: World) -> None:
    told(world, 3.0)
    world.sources.truth["v2"] = BROKEN_TERM
    world.settle()
    evidence = canary(world).status.candidates[0].evidence
    assert evidence is not None
    assert evidence.culprit == "grounding"

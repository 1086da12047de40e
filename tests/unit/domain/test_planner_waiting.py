"""Before it has traffic: a canary whose weights change, and one that waits for a backend."""

from typing import Any

from learnops.domain.planner.chain import decide
from learnops.domain.planner.draft import LOOK_AGAIN
from tests.simulation import objects
from tests.simulation.acts.beats import together
from tests.simulation.acts.gateway import serve
from tests.simulation.acts.mishaps import killed_in
from tests.simulation.acts.people import apply, begin, reweigh, start
from tests.simulation.play import in_order
from tests.simulation.world import World


def test_a_canary_that_waits_for_its_backend_is_looked_at_again() -> None:
    """A backend that becomes ready is no event of the objects that are watched."""
    world = in_order([*begin(gateway=True), serve("blue", "v1"), *start("v2")])
    assert canary(world).status.stage == "Pending"
    plan = decide(world.observe())
    assert (plan.actions, plan.requeue_after) == ((), LOOK_AGAIN)


def test_weights_that_change_once_the_rollout_is_opened_draw_with_another_salt() -> None:
    """No run that was drawn for the old scoring may be taken for evidence of the new."""
    try_v2 = apply(objects.policy("v2"), objects.canary("try-v2", candidate="v2"))
    opened = killed_in(try_v2, passes=2, actions=1)
    world = in_order([*begin(), together(opened, reweigh(grounding="1", contradictions="1"))])
    told = [line.split()[2] for line in world.lines if line.startswith("    open rollout")]
    assert [salt.rpartition(".")[2] for salt in told] == ["0", "1"]
    assert (canary(world).status.stage, canary(world).status.retries) == ("Canary", 1)
    assert world.log.closed == {told[0]: "Superseded"}


def canary(world: World) -> Any:
    """The only one."""
    (found,) = (it for it in world.objects() if it.kind == "CanaryDeployment")
    return found

"""Credentials planted in the environment appear nowhere, least of all in what goes wrong."""

from testbed.stack import Stack
from tests.fault.conftest import StartProduct
from tests.product import World

ROLLOUT = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 30, "minCandidateRuns": 20},
}


def test_no_secret_in_any_log_status_event_or_metric(
    stack: Stack, start_product: StartProduct
) -> None:
    world = start_product(operator_flags=("--log-level", "debug"))
    world.doer("planner", rollout=ROLLOUT)
    truth = world.truth(planner_v1=0.7, planner_v2=0.2)
    world.product.start_agents("planner", truth=truth, count=1, rate=30)
    world.roll_out("planner")
    world.wait_share("planner", 50)
    provoke(stack, world)
    assert world.wait_end("planner") == "Promoted"
    assert {"operator.log", "api.log", "agent-planner-1.log"} <= {
        path.name for path in world.product.logs.iterdir()
    }
    assert world.leaks() == []
    # The search does find what is there.
    (world.product.logs / "planted.log").write_text(f"password={world.planted.password}\n")
    assert world.leaks() == ["planted.log"]
    (world.product.logs / "planted.log").unlink()


def provoke(stack: Stack, world: World) -> None:
    """Make every process complain about its connections."""
    stack.postgres.kill()
    try:
        world.wait_reason("planner", "RunLogUnavailable")
        for service in (world.product.api, world.product.operator):
            service.process.kill()
            service.process.start()
        world.wait(lambda: "Postgres" in world.product.api.process.log_tail(), "complaints")
    finally:
        stack.postgres.start()
    for service in (world.product.api, world.product.operator):
        service.wait_ready()

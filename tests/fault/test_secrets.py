"""Credentials planted in the environment appear nowhere, least of all in what goes wrong."""

from testbed.stack import Stack
from tests.fault.conftest import StartProduct
from tests.product import Installation

ROLLOUT = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    # Enough that no promotion comes before the processes were made to complain.
    "analysis": {"maturationSeconds": 30, "minCandidateRuns": 200},
}


def test_no_secret_in_any_log_status_event_or_metric(
    stack: Stack, start_product: StartProduct
) -> None:
    installed = start_product(operator_flags=("--log-level", "debug"))
    installed.doer("planner", rollout=ROLLOUT)
    truth = installed.truth(planner_v1=0.7, planner_v2=0.2)
    installed.product.start_agents("planner", truth=truth, count=1, rate=30)
    installed.roll_out("planner")
    installed.wait_share("planner", 50)
    provoke(stack, installed)
    assert installed.wait_end("planner") == "Promoted"
    assert {"operator.log", "api.log", "agent-planner-1.log"} <= {
        path.name for path in installed.product.logs.iterdir()
    }
    assert installed.leaks() == []
    # The search does find what is there.
    (installed.product.logs / "planted.log").write_text(f"password={installed.planted.password}\n")
    assert installed.leaks() == ["planted.log"]
    (installed.product.logs / "planted.log").unlink()


def provoke(stack: Stack, installed: Installation) -> None:
    """Make every process complain about its connections."""
    stack.postgres.kill()
    try:
        installed.wait_reason("planner", "RunLogUnavailable")
        for service in (installed.product.api, installed.product.operator):
            service.process.kill()
            service.process.start()
        installed.wait(lambda: "Postgres" in installed.product.api.process.log_tail(), "complaints")
    finally:
        stack.postgres.start()
    for service in (installed.product.api, installed.product.operator):
        service.wait_ready()

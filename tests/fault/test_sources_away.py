"""A canary whose source of evidence goes away holds, says why, and goes on when it is back."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

from testbed.kubeapi import Json
from testbed.stack import Stack
from tests.product import Installation

ROLLOUT: Json = {
    "strategy": {"canary": {"steps": [25, 50], "stepSeconds": 2}},
    # Longer than the SDK's longest pause between two tries to deliver, which an outage leads to.
    "analysis": {"maturationSeconds": 30, "minCandidateRuns": 100, "maxStalenessSeconds": 10},
}


def rollout(source: str) -> Json:
    return {**ROLLOUT, "analysis": {**ROLLOUT["analysis"], "source": source}}


@contextmanager
def away(server: Any) -> Any:
    """A server of the session's stack is dead meanwhile; other tests need it again."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@pytest.mark.parametrize(
    ("source", "server", "reason"),
    [
        ("Prometheus", lambda stack: stack.prometheus, "PrometheusUnavailable"),
        ("RunLog", lambda stack: stack.postgres, "RunLogUnavailable"),
    ],
)
def test_nothing_moves_without_evidence(
    stack: Stack, installed: Installation, source: str, server: Callable[[Stack], Any], reason: str
) -> None:
    installed.doer("planner", rollout=rollout(source))
    installed.roll_out("planner")
    installed.wait_share("planner", 25)
    with away(server(stack)):
        # Better beyond doubt: were it not for the lost source, it would be promoted in seconds.
        truth = installed.truth(planner_v1=0.7, planner_v2=0.2)
        installed.product.start_agents("planner", truth=truth, count=1, rate=30)
        told = installed.wait_reason("planner", reason)
        assert installed.reasons(told)["EvidenceAvailable"] == reason
        served = installed.changes.shares("planner")[-1]
        installed.wait_passes(4)
        assert installed.changes.shares("planner")[-1] == served
        canary = installed.canary("planner")
        assert canary is not None
        assert canary["status"]["stage"] == "Canary"
        assert canary["status"]["recommendation"] == "Hold"
        assert "Held" in {
            one["reason"] for one in installed.objects.events(canary["metadata"]["name"])
        }
    assert installed.wait_end("planner") == "Promoted"
    assert installed.changes.ramp("planner", "planner-v2") in ([25, 50, 100], [25, 100])

"""The loop that mirrors policies: one that Postgres cannot store harms itself alone."""

from typing import Any

import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import Pool
from learnops.server.outage import Outage
from learnops.server.state import State
from learnops.server.tracker import Mirror
from tests.integration.postgres.helpers import rows_of


def policy(name: str, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "learnops.dev/v1alpha1",
        "kind": "Policy",
        "metadata": {
            "namespace": "agents",
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "doerRef": {"name": "planner"},
            "version": "1.0.0",
            "prompts": {"variants": [{"name": "base", "system": text}]},
        },
    }


async def test_a_policy_that_cannot_be_stored_does_not_hold_up_the_others(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    state = State(clock=SystemClock())
    mirror = Mirror(pool=pool, state=state, outage=Outage())
    texts = {"planner-v1": "Plan.", "planner-v2": "Plan\x00.", "planner-v3": "Plan well."}
    for name, text in texts.items():
        state.policies.put(policy(name, text))
    await mirror.step()
    await mirror.step()
    stored = "SELECT id FROM policies ORDER BY id"
    assert await rows_of(pool, stored) == [("planner-v1",), ("planner-v3",)]
    told = [each.getMessage() for each in caplog.records if "mirrored" in each.getMessage()]
    assert len(told) == 1
    assert "agents/planner-v2" in told[0]
    state.policies.put(policy("planner-v2", "Plan."))  # it was mended
    await mirror.step()
    assert len(await rows_of(pool, stored)) == 3

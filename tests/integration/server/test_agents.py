"""Agents of every kind against the real api and run log: coroutines, and commands."""

import asyncio
import json
import os
import subprocess
from typing import Any

import pytest

from learnops.client import AsyncLearner, Options
from tests.integration.server.conftest import TOKEN, Api
from tests.integration.server.test_sdk import evidence_runs, of_arm, wait_for
from tests.live_doer import LiveDoer
from tests.patience import LEARNOPS_RUN

PRICES = {"small": {"input": "1000", "output": "1000"}}


@pytest.fixture
def environment(api: Api, world: LiveDoer) -> dict[str, str]:
    """What an agent finds set."""
    world.renew_lease(create=True)  # without an operator the dead-man switch gives control
    wait_for(lambda: _seconds_left(api, world) > 0, "a snapshot with a live operator")
    return {
        "LEARNOPS_API": api.url,
        "LEARNOPS_NAMESPACE": world.namespace,
        "LEARNOPS_TOKEN": TOKEN,
    }


def _seconds_left(api: Api, world: LiveDoer) -> float:
    answer = api.get(f"/v1/snapshot?namespace={world.namespace}&doer=planner")
    return float(answer.body["ttlSeconds"]) if answer.status == 200 else 0.0


def stored(api: Api, world: LiveDoer, run_id: str) -> Any:
    return api.get(f"/v1/runs/{run_id}?namespace={world.namespace}").body


async def test_coroutines_are_drawn_registered_and_scored_with_their_costs(
    api: Api, world: LiveDoer, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    options = Options(registration_seconds=5.0)
    async with AsyncLearner("planner", prices=PRICES, options=options) as learner:
        ran: dict[str, tuple[str, float]] = {}

        async def plan(run_id: str, tokens: int) -> None:
            async with learner.run(run_id=run_id, tenant="acme") as run:
                run.record_usage(model="small", input_tokens=tokens, output_tokens=0)
                ran[run_id] = (run.arm, run.propensity)
                await run.finish(
                    metrics={"grounding": 1.0, "contradictions": 0},
                    budget={"maxCostUSD": 1},
                )

        cheap, dear = of_arm("candidate", after="cheap"), of_arm("control", after="dear")
        await asyncio.gather(plan(cheap, 1), plan(dear, 2_000))
        assert ran == {cheap: ("candidate", 0.5), dear: ("control", 0.5)}
        assert await learner.flush(30)
    assert stored(api, world, cheap)["terms"]["costOverBudget"] == 0.0
    assert stored(api, world, dear)["terms"]["costOverBudget"] == 1.0  # 2 US dollars of 1
    wait_for(lambda: evidence_runs(api, world) == 2, "both in the evidence")


def test_commands_are_drawn_registered_and_scored(
    api: Api, world: LiveDoer, environment: dict[str, str]
) -> None:
    told = json.dumps({"metrics": {"grounding": 1, "contradictions": 0}})
    script = f"""echo '{told}' > "$LEARNOPS_BUNDLE_FILE"; echo "$LEARNOPS_POLICY"; exit $0"""
    good, bad = of_arm("candidate", after="good"), of_arm("control", after="bad")
    for run_id, code, policy in ((good, 0, "planner-v2"), (bad, 3, "planner-v1")):
        done = subprocess.run(
            [
                *LEARNOPS_RUN,
                "--run-id",
                run_id,
                "--tenant",
                "acme",
                "--",
                "sh",
                "-c",
                script,
                str(code),
            ],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, f"{policy}\n", "")
    one, other = (stored(api, world, run_id) for run_id in (good, bad))
    assert (one["arm"], one["propensity"], one["policy"]) == ("candidate", 0.5, "planner-v2")
    assert (one["terms"]["gatePassRate"], other["terms"]["gatePassRate"]) == (0.0, 1.0)
    assert one["terms"]["grounding"] == other["terms"]["grounding"] == 0.0
    wait_for(lambda: evidence_runs(api, world) == 2, "both in the evidence")

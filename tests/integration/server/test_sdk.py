"""The SDK against the real api: registration, reports, and an api that stalls or dies."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from learnops.client import Learner, Options
from learnops.domain.assignment import Region, choose, draw
from testbed.waiting import wait_until
from tests.integration.server.conftest import TOKEN, Api
from tests.live_doer import SALT, LiveDoer

Connect = Callable[..., Learner]
METRICS = {"grounding": 0.9, "contradictions": 0}


@pytest.fixture
def connect(api: Api, world: LiveDoer) -> Iterator[Connect]:
    """Learners of the world's doer, with a snapshot."""
    world.renew_lease(create=True)  # without an operator the dead-man switch gives control
    with ExitStack() as stack:

        def make(**bounds: Any) -> Learner:
            options = Options(**{"registration_seconds": 5.0, **bounds})
            learner = stack.enter_context(
                Learner(
                    "planner",
                    api=api.url,
                    token=TOKEN,
                    namespace=world.namespace,
                    options=options,
                )
            )
            wait_for(lambda: seconds_left(learner) > 0, "a snapshot with a live operator")
            return learner

        yield make


def wait_for(check: Callable[[], Any], what: str) -> None:
    wait_until(check, what=what, deadline_seconds=30)


def seconds_left(learner: Learner) -> float:
    return learner.stats()["snapshot_seconds_left"] or 0.0


def of_arm(arm: str, *, after: str) -> str:
    return next(f"{after}{n}" for n in range(99) if draw(SALT, f"{after}{n}", 50).value == arm)


def evidence_runs(api: Api, world: LiveDoer) -> float:
    series = [
        api.series("learnops_evidence_runs_total", namespace=world.namespace, arm=arm) or 0.0
        for arm in ("control", "candidate")
    ]
    return sum(series)


def test_a_run_is_drawn_registered_run_and_scored(
    api: Api, world: LiveDoer, connect: Connect
) -> None:
    learner = connect()
    for arm, policy in (("candidate", "planner-v2"), ("control", "planner-v1")):
        run = learner.start(run_id=of_arm(arm, after=arm), tenant="acme")
        assert (run.arm, run.policy.name, run.propensity) == (arm, policy, 0.5)
        assert run.policy.prompts == {"system": f"Plan, version {policy[-1]}."}
        assert run.policy.tools_allowlist == ("search",)
        run.finish(metrics=METRICS, qav={"n": 1}, artifacts=[{"uri": "x"}], costs={"costUSD": 1})
    assert learner.flush(30)
    assert learner.stats()["bundles_accepted"] == 2
    stored = api.get(f"/v1/runs/{run.id}?namespace={world.namespace}").body
    assert stored["loss"] == pytest.approx(0.075)
    wait_for(lambda: evidence_runs(api, world) == 2, "both in the evidence")


def test_an_api_that_stalls_means_control_and_no_evidence(
    api: Api, world: LiveDoer, connect: Connect
) -> None:
    learner = connect(registration_seconds=0.25)
    wait_for(lambda: learner.start().propensity == 0.5, "a registration in time")
    pid = api.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        run = learner.start(run_id=of_arm("candidate", after="stalled"))
        assert (run.arm, run.policy.name, run.propensity) == ("control", "planner-v1", 0.0)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: learner.stats().get("voids_acknowledged"), "the void")
    run.finish(metrics=METRICS)
    assert learner.flush(30)
    stored = api.get(f"/v1/runs/{run.id}?namespace={world.namespace}").body
    assert stored["propensity"] == 0.0


def test_an_api_that_is_killed_loses_nothing_that_was_finished(
    api: Api, world: LiveDoer, connect: Connect
) -> None:
    learner = connect(registration_seconds=0.25)
    ids = []
    for number in range(200):
        if number == 100:
            api.process.kill()
        run = learner.start()
        run.finish(metrics=METRICS)
        ids.append(run.id)
        if number == 110:
            api.start()
    assert learner.flush(30)
    missing = [
        run_id
        for run_id in ids
        if api.get(f"/v1/runs/{run_id}?namespace={world.namespace}").status != 200
    ]
    assert missing == []


def test_a_roll_back_reaches_the_sdk_by_long_poll(world: LiveDoer, connect: Connect) -> None:
    learner = connect()
    world.traffic(revision=3, percent=0)
    wait_for(lambda: learner.stats()["revision"] == 3, "the roll-back in the SDK")
    assert learner.start(run_id=of_arm("candidate", after="late")).policy.name == "planner-v1"


def test_each_of_several_candidates_is_run_with_its_own_content(
    world: LiveDoer, connect: Connect
) -> None:
    world.create_policy(3)
    shares = [
        {"policy": "planner-v1", "percent": 40},
        {"policy": "planner-v2", "percent": 30},
        {"policy": "planner-v3", "percent": 30, "start": 33},
    ]
    traffic = {"revision": 3, "active": "planner-v1", "shares": shares}
    told = {**traffic, "salt": SALT, "canary": "planner-canary"}
    world.status("doers", "planner", {"traffic": told})
    learner = connect()
    wait_for(lambda: learner.stats()["revision"] == 3, "the snapshot with two candidates")
    regions = [
        Region(policy="planner-v2", percent=30),
        Region(policy="planner-v3", percent=30, start=33),
    ]
    found = set()
    for number in range(40):
        run = learner.start(run_id=f"several-{number}")
        policy = choose(SALT, f"several-{number}", regions) or "planner-v1"
        assert (run.policy.name, run.propensity) == (policy, 0.6)
        assert run.policy.prompts == {"system": f"Plan, version {policy[-1]}."}
        assert run.arm == ("control" if policy == "planner-v1" else "candidate")
        found.add(policy)
        run.finish(metrics=METRICS)
    assert found == {"planner-v1", "planner-v2", "planner-v3"}

"""Which policy a run gets by what the api says."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from learnops.client import Learner, Run
from tests.contract.client.handler import Handler
from tests.contract.client.learners import ASSIGNMENTS, Connect, ready, unit
from tests.contract.client.stand_in import StandInApi


def test_without_a_canary_the_active_policy_and_no_request(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect())
    run = learner.start(tenant="acme")
    assert (run.policy.name, run.arm, run.propensity) == ("planner-v1", "control", 0.0)
    assert run.policy.prompts == {"system": "Plan.", "few_shot": [{"input": "a", "output": "b"}]}
    assert run.policy.hparams == {"temperature": 0.6, "top_k": 40}
    assert run.model == run.policy.model == "model-1.0.0"
    assert run.policy.tools_allowlist == ("search",)
    assert {request["path"] for request in api.requests} == {"/v1/snapshot"}
    assert {request["token"] for request in api.requests} == {"Bearer s3cret"}


def test_an_agent_may_edit_what_it_got(connect: Connect) -> None:
    learner = ready(connect())
    learner.start().policy.prompts["few_shot"].clear()
    learner.start().policy.hparams["temperature"] = 2.0
    assert learner.start().policy.prompts["few_shot"]
    assert learner.start().policy.hparams["temperature"] == 0.6


def test_a_live_canary_registers_before_the_agent_starts(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    for arm, policy in (("candidate", "planner-v2"), ("control", "planner-v1")):
        run = learner.start(run_id=unit(arm))
        assert (run.arm, run.policy.name, run.propensity) == (arm, policy, 0.5)
        assert run.id in api.registered
    assert api.voided == []


@pytest.mark.parametrize(("percent", "arm", "pi"), [(0, "control", 0.0), (100, "candidate", 1.0)])
def test_a_share_of_0_or_100_is_not_registered(
    api: StandInApi, connect: Connect, percent: int, arm: str, pi: float
) -> None:
    api.serve(percent=percent)
    run = ready(connect(), 2).start()
    assert (run.arm, run.propensity) == (arm, pi)
    assert api.registrations == []


def test_concurrent_starts_share_round_trips(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    first_waits = threading.Event()

    def hold_first(handler: Handler) -> None:
        del api.misbehave[ASSIGNMENTS]
        first_waits.set()
        api.wait_for(lambda: learner.stats()["runs_started"] == 41, "all starts")
        handler.behave(ASSIGNMENTS)

    api.misbehave[ASSIGNMENTS] = hold_first
    with ThreadPoolExecutor(41) as pool:
        first = pool.submit(learner.start, run_id="first")
        assert first_waits.wait(60)
        others = [pool.submit(learner.start) for _ in range(40)]
        runs: list[Run] = [first.result(), *(other.result() for other in others)]
    assert all(run.propensity == 0.5 for run in runs)
    assert {run.id for run in runs} == set(api.registered)
    assert len(api.registrations) <= 4


@pytest.mark.parametrize(
    ("serving", "arm"), [("planner-v1", "control"), ("planner-v2", "candidate")]
)
def test_behind_a_gateway_the_served_policy_is_registered(
    api: StandInApi, connect: Connect, serving: str, arm: str
) -> None:
    api.serve(percent=20, router="GatewayAPI")
    learner = ready(connect(serving=serving), 2)
    run = learner.start()
    assert (run.policy.name, run.arm, run.propensity) == (serving, arm, 0.2)
    assert api.registrations[0][0]["policy"] == serving
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(503, {})
    unregistered = learner.start()
    assert (unregistered.policy.name, unregistered.arm) == (serving, arm)
    assert unregistered.propensity == 0.0


def test_behind_a_gateway_an_agent_must_say_what_it_serves(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    api.serve(percent=50, router="GatewayAPI")
    run = ready(connect(), 2).start()
    assert run.propensity == 0.0
    assert api.registrations == []
    assert "Learner(serving=...)" in caplog.text


def test_ids_that_the_api_would_refuse_are_hashed(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    long, odd = "x" * 5000, "\ud800\n"
    ids = [learner.start(run_id=given).id for given in (long, long, odd)]
    assert ids[0] == ids[1] != ids[2]
    assert all(len(one) == 32 for one in ids)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"api": "learnops-api:8080"}, "LEARNOPS_API"),
        ({"api": ""}, "LEARNOPS_API"),
        ({"namespace": ""}, "LEARNOPS_NAMESPACE"),
        ({"namespace": "../x"}, "namespace"),
        ({"serving": "Planner V2"}, "serving"),
    ],
)
def test_a_learner_that_cannot_work_says_so(
    connect: Connect, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        connect(**given)


def test_settings_come_from_the_environment(
    api: StandInApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEARNOPS_API", api.url + "/")
    monkeypatch.setenv("LEARNOPS_TOKEN", "t0ken")
    monkeypatch.setenv("LEARNOPS_NAMESPACE", "agents")
    with Learner("planner") as learner:
        ready(learner)
        assert "t0ken" not in repr(learner._settings)
    assert api.requests[0]["token"] == "Bearer t0ken"
    assert api.requests[0]["query"]["namespace"] == "agents"

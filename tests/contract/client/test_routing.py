"""Which policy a run gets, by what the api says and when it says nothing."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from learnops.client import Learner, Run
from learnops.domain.assignment import draw
from testbed.waiting import wait_until
from tests.contract.client.api import Api, Handler, content

Connect = Callable[..., Learner]
ASSIGNMENTS = "/v1/assignments"
BOUND = {"registration_seconds": 0.25}
LOADED_MACHINE_SECONDS = 2.0


def ready(learner: Learner, revision: int = 1) -> Learner:
    """The learner once it knows a revision."""
    wait_until(
        lambda: learner.stats()["revision"] == revision,
        what=f"revision {revision} in the SDK",
        deadline_seconds=20,
    )
    return learner


def unit(arm: str, *, salt: str = "canary-1.0", percent: int = 50, after: str = "u") -> str:
    """An id that the keyed hash gives to an arm."""
    return next(
        f"{after}{n}" for n in range(1000) if draw(salt, f"{after}{n}", percent).value == arm
    )


def test_without_a_canary_the_active_policy_and_no_request(api: Api, connect: Connect) -> None:
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


def test_a_live_canary_registers_before_the_agent_starts(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    for arm, policy in (("candidate", "planner-v2"), ("control", "planner-v1")):
        run = learner.start(run_id=unit(arm))
        assert (run.arm, run.policy.name, run.propensity) == (arm, policy, 0.5)
        assert run.id in api.registered
    assert api.voided == []


@pytest.mark.parametrize(("percent", "arm", "pi"), [(0, "control", 0.0), (100, "candidate", 1.0)])
def test_a_share_of_0_or_100_is_not_registered(
    api: Api, connect: Connect, percent: int, arm: str, pi: float
) -> None:
    api.serve(percent=percent)
    run = ready(connect(), 2).start()
    assert (run.arm, run.propensity) == (arm, pi)
    assert api.registrations == []


def test_concurrent_starts_share_round_trips(api: Api, connect: Connect) -> None:
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
        assert first_waits.wait(10)
        others = [pool.submit(learner.start) for _ in range(40)]
        runs: list[Run] = [first.result(), *(other.result() for other in others)]
    assert all(run.propensity == 0.5 for run in runs)
    assert {run.id for run in runs} == set(api.registered)
    assert len(api.registrations) <= 4


def test_a_late_registration_is_void_and_the_agent_ran_control(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(options=BOUND), 2)
    go_on = threading.Event()

    def late(handler: Handler) -> None:
        go_on.wait(10)
        handler.behave(ASSIGNMENTS)

    api.misbehave[ASSIGNMENTS] = late
    began = time.monotonic()
    run = learner.start(run_id=unit("candidate"))
    assert 0.2 < time.monotonic() - began < LOADED_MACHINE_SECONDS
    assert (run.arm, run.policy.name, run.propensity) == ("control", "planner-v1", 0.0)
    assert api.voided == []
    go_on.set()
    api.wait_for(lambda: api.voided == [run.id], "the void")
    run.finish(metrics={"grounding": 1.0})
    assert learner.flush(10)
    assert api.runs[run.id]["propensity"] == 0.0
    assert "rollout" not in api.runs[run.id]


def test_a_run_that_was_never_sent_is_not_voided(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(options=BOUND), 2)
    go_on = threading.Event()

    def late(handler: Handler) -> None:
        go_on.wait(10)
        handler.behave(ASSIGNMENTS)

    api.misbehave[ASSIGNMENTS] = late
    first, second = learner.start(run_id="first"), learner.start(run_id="second")
    go_on.set()
    api.wait_for(lambda: api.voided, "the void")
    assert second.propensity == 0.0
    assert api.voided == [first.id]
    assert "second" not in api.registered


BAD_ANSWERS: dict[str, Callable[[Handler], None]] = {
    "status": lambda handler: handler.answer(500, {"detail": "broken"}),
    "html": lambda handler: handler.raw(200, b"<html>login</html>", {"Content-Type": "text/html"}),
    "empty": lambda handler: handler.answer(200, {"assignments": []}),
    "list": lambda handler: handler.answer(200, ["?"]),
    "propensity": lambda handler: handler.answer(
        200, {"assignments": [{**handler.api.assign(handler.body["runs"][0]), "propensity": 7}]}
    ),
    "arm": lambda handler: handler.answer(
        200, {"assignments": [{**handler.api.assign(handler.body["runs"][0]), "arm": None}]}
    ),
    "gone": lambda handler: handler.drop(),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_a_wrong_answer_means_control_and_a_void(api: Api, connect: Connect, kind: str) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    api.misbehave[ASSIGNMENTS] = BAD_ANSWERS[kind]
    run = learner.start()
    assert (run.arm, run.propensity) == ("control", 0.0)
    api.wait_for(lambda: run.id in api.voided, "the void")  # for all we know it is registered
    api.misbehave.clear()
    assert learner.start().propensity == 0.5


@pytest.mark.parametrize("status", [429, 503, 403])
def test_a_refused_registration_is_control_without_a_void(
    api: Api, connect: Connect, status: int
) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(status, {"detail": "no"})
    assert learner.start().propensity == 0.0
    api.misbehave.clear()
    assert learner.start().propensity == 0.5
    assert learner.flush(10)
    assert api.voided == []


def test_a_dead_api_gives_control_within_the_bound(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(options=BOUND), 2)
    api.stop()
    began = time.monotonic()
    runs = [learner.start() for _ in range(5)]
    assert time.monotonic() - began < 5 * 0.25 + LOADED_MACHINE_SECONDS
    assert {(run.arm, run.propensity) for run in runs} == {("control", 0.0)}
    api.start()
    api.wait_for(lambda: learner.start().propensity == 0.5, "registration after the api is back")


def test_a_session_keeps_its_arm_also_when_registration_fails(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    session = unit("candidate")
    learner = ready(connect(), 2)
    assert learner.start(session=session).arm == "candidate"
    assert api.registrations[0][0]["unitId"] == session
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(503, {})
    again = learner.start(session=session)
    assert (again.arm, again.policy.name) == ("candidate", "planner-v2")
    again.finish(metrics={"grounding": 1.0})
    assert learner.flush(10)
    assert "rollout" not in api.runs[again.id]  # drawn once, and this run is no evidence
    assert learner.start(session=unit("candidate", after="other")).arm == "control"


def test_a_run_started_again_is_not_drawn_again(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    first = learner.start(run_id=unit("candidate"))
    api.stop()
    again = learner.start(run_id=first.id)
    assert (again.arm, again.propensity) == ("candidate", 0.5)


def test_a_roll_back_overrides_what_a_unit_had(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    session = unit("candidate")
    assert learner.start(session=session).arm == "candidate"
    api.serve(percent=None)
    ready(learner, 3)
    assert learner.start(session=session).policy.name == "planner-v1"


def test_a_lagging_replica_cannot_revive_a_candidate(api: Api, connect: Connect) -> None:
    api.serve(percent=50, revision=5)
    learner = ready(connect(), 5)
    api.serve(percent=50, revision=6, salt="canary-2.0")
    ready(learner, 6)

    def lag(handler: Handler) -> None:
        told = {**api.assign(handler.body["runs"][0]), "rollout": "canary-1.0", "revision": 5}
        handler.answer(200, {"assignments": [told]})

    api.misbehave[ASSIGNMENTS] = lag
    run = learner.start(run_id=unit("candidate", salt="canary-2.0"))
    assert (run.arm, run.propensity) == ("control", 0.0)
    api.wait_for(lambda: run.id in api.voided, "the void")


def test_a_policy_that_is_not_here_yet_is_fetched_once(api: Api, connect: Connect) -> None:
    api.serve(percent=50, hidden={"planner-v2"})
    learner = ready(connect(), 2)
    api.hidden = set()
    run = learner.start(run_id=unit("candidate"))
    assert run.policy.prompts["system"] == "Plan well."
    assert run.propensity == 0.5


def test_a_policy_that_nobody_has_means_control_and_a_void(api: Api, connect: Connect) -> None:
    api.serve(percent=50, hidden={"planner-v2"})
    run = ready(connect(), 2).start(run_id=unit("candidate"))
    assert (run.policy.name, run.propensity) == ("planner-v1", 0.0)
    api.wait_for(lambda: run.id in api.voided, "the void")


def test_a_policy_that_nobody_has_is_asked_for_once_and_not_for_each_run(
    api: Api, connect: Connect
) -> None:
    api.serve(percent=50, hidden={"planner-v2"})
    learner = ready(connect(), 2)
    runs = [unit("candidate", after=f"u{number}-") for number in range(5)]
    before = _questions(api)
    for run in runs:
        learner.start(run_id=run)
    assert learner.stats()["draws_unusable"] == 5
    # One by the first of them, and the long poll's own where one ended meanwhile.
    assert _questions(api) - before <= 2


@pytest.mark.parametrize(
    ("serving", "arm"), [("planner-v1", "control"), ("planner-v2", "candidate")]
)
def test_behind_a_gateway_the_served_policy_is_registered(
    api: Api, connect: Connect, serving: str, arm: str
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
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    api.serve(percent=50, router="GatewayAPI")
    run = ready(connect(), 2).start()
    assert run.propensity == 0.0
    assert api.registrations == []
    assert "Learner(serving=...)" in caplog.text


def test_without_any_api_the_default_policy_and_only_the_first_start_waits(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    api.stop()
    learner = connect(options={"first_snapshot_seconds": 0.3}, default_policy=content("0.9.0"))
    began = time.monotonic()
    runs = [learner.start() for _ in range(20)]
    assert 0.2 < time.monotonic() - began < LOADED_MACHINE_SECONDS
    assert {run.model for run in runs} == {"model-0.9.0"}
    assert {(run.arm, run.propensity) for run in runs} == {("control", 0.0)}
    assert learner.stats()["runs_without_snapshot"] == 20
    assert caplog.text.count("default policy") == 1
    api.start()
    api.wait_for(lambda: learner.start().policy.name == "planner-v1", "the snapshot")


def test_without_api_and_default_an_empty_policy(api: Api, connect: Connect) -> None:
    api.stop()
    run = connect(options={"first_snapshot_seconds": 0.0}).start()
    assert (run.policy.name, run.policy.prompts, run.model) == ("", {}, None)
    run.finish()


def test_ids_that_the_api_would_refuse_are_hashed(api: Api, connect: Connect) -> None:
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


def test_settings_come_from_the_environment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEARNOPS_API", api.url + "/")
    monkeypatch.setenv("LEARNOPS_TOKEN", "t0ken")
    monkeypatch.setenv("LEARNOPS_NAMESPACE", "agents")
    with Learner("planner") as learner:
        ready(learner)
        assert "t0ken" not in repr(learner._settings)
    assert api.requests[0]["token"] == "Bearer t0ken"
    assert api.requests[0]["query"]["namespace"] == "agents"


def _questions(api: Api) -> int:
    return sum(request["path"] == "/v1/snapshot" for request in api.requests)


def test_an_api_that_asks_for_time_is_not_asked_meanwhile(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(429, {}, {"Retry-After": "1"})
    began = time.monotonic()
    learner.start()
    api.misbehave.clear()
    assert learner.start().propensity == 0.0
    assert learner.stats()["registrations_held"] == 1
    api.wait_for(lambda: learner.start().propensity == 0.5, "registration after the second")
    assert 1.0 <= time.monotonic() - began < 5.0

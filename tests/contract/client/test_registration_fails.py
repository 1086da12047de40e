"""Which policy a run gets where the api is late, wrong, busy or not there."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from learnops.client import registrar
from tests.contract.client.handler import Handler
from tests.contract.client.learners import (
    ASSIGNMENTS,
    BOUND,
    LOADED_MACHINE_SECONDS,
    Connect,
    ready,
    unit,
)
from tests.contract.client.stand_in import StandInApi, content

LATE_SECONDS = 3.0  # time enough for the SDK to ask, also on a busy machine


@pytest.fixture
def long_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for a registration goes on for as long as a test needs."""
    monkeypatch.setattr(registrar, "_LEAST_REQUEST_SECONDS", 60.0)


@pytest.mark.usefixtures("long_requests")
def test_a_late_registration_is_void_and_the_agent_ran_control(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50)
    learner = ready(connect(options={"registration_seconds": LATE_SECONDS}), 2)
    go_on = threading.Event()

    def late(handler: Handler) -> None:
        go_on.wait(60)
        handler.behave(ASSIGNMENTS)

    api.misbehave[ASSIGNMENTS] = late
    began = time.monotonic()
    run = learner.start(run_id=unit("candidate"))
    assert LATE_SECONDS - 0.1 < time.monotonic() - began < LATE_SECONDS + LOADED_MACHINE_SECONDS
    assert (run.arm, run.policy.name, run.propensity) == ("control", "planner-v1", 0.0)
    assert api.voided == []
    go_on.set()
    api.wait_for(lambda: api.voided == [run.id], "the void")
    run.finish(metrics={"grounding": 1.0})
    assert learner.flush(60)
    assert api.runs[run.id]["propensity"] == 0.0
    assert "rollout" not in api.runs[run.id]


@pytest.mark.usefixtures("long_requests")
def test_a_run_that_was_never_sent_is_not_voided(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(options={"registration_seconds": LATE_SECONDS}), 2)
    asked, go_on = threading.Event(), threading.Event()

    def late(handler: Handler) -> None:
        asked.set()
        go_on.wait(60)
        handler.behave(ASSIGNMENTS)

    api.misbehave[ASSIGNMENTS] = late
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(learner.start, run_id="first")
        assert asked.wait(60)
        second, first = learner.start(run_id="second"), starting.result()
    go_on.set()
    api.wait_for(lambda: api.voided, "the void")
    assert second.propensity == 0.0
    assert api.voided == [first.id]
    assert "second" not in api.registered


def test_the_bound_of_a_registration_is_also_that_of_its_request(
    api: StandInApi, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that says to wait longer than a request takes at least is not let go before."""
    monkeypatch.setattr(registrar, "_LEAST_REQUEST_SECONDS", 0.1)
    api.serve(percent=50)
    learner = ready(connect(), 2)

    def late(handler: Handler) -> None:
        threading.Event().wait(1.0)
        handler.behave(ASSIGNMENTS)

    api.misbehave[ASSIGNMENTS] = late
    assert learner.start().propensity == 0.5
    assert api.voided == []


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
def test_a_wrong_answer_means_control_and_a_void(
    api: StandInApi, connect: Connect, kind: str
) -> None:
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
    api: StandInApi, connect: Connect, status: int
) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(status, {"detail": "no"})
    assert learner.start().propensity == 0.0
    api.misbehave.clear()
    assert learner.start().propensity == 0.5
    assert learner.flush(60)
    assert api.voided == []


def test_a_dead_api_gives_control_within_the_bound(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(options=BOUND), 2)
    api.stop()
    began = time.monotonic()
    runs = [learner.start() for _ in range(5)]
    assert time.monotonic() - began < 5 * 0.25 + LOADED_MACHINE_SECONDS
    assert {(run.arm, run.propensity) for run in runs} == {("control", 0.0)}
    api.start()
    api.wait_for(lambda: learner.start().propensity == 0.5, "registration after the api is back")


def test_without_any_api_the_default_policy_and_only_the_first_start_waits(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    api.stop()
    began = time.monotonic()
    learner = connect(options={"first_snapshot_seconds": 1.0}, default_policy=content("0.9.0"))
    runs = [learner.start() for _ in range(20)]
    assert 1.0 <= time.monotonic() - began < 10.0  # if each waited, 20
    assert {run.model for run in runs} == {"model-0.9.0"}
    assert {(run.arm, run.propensity) for run in runs} == {("control", 0.0)}
    assert learner.stats()["runs_without_snapshot"] == 20
    assert caplog.text.count("default policy") == 1
    api.start()
    api.wait_for(lambda: learner.start().policy.name == "planner-v1", "the snapshot")


def test_without_api_and_default_an_empty_policy(api: StandInApi, connect: Connect) -> None:
    api.stop()
    run = connect(options={"first_snapshot_seconds": 0.0}).start()
    assert (run.policy.name, run.policy.prompts, run.model) == ("", {}, None)
    run.finish()


def test_an_api_that_asks_for_time_is_not_asked_meanwhile(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(429, {}, {"Retry-After": "5"})
    began = time.monotonic()
    learner.start()
    api.misbehave.clear()
    assert learner.start().propensity == 0.0
    assert learner.stats()["registrations_held"] == 1
    api.wait_for(lambda: learner.start().propensity == 0.5, "registration after the time")
    assert 5.0 <= time.monotonic() - began < 60.0

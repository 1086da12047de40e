"""Answers whose JSON is well-formed and wrong, and bugs: no thread dies, nothing is raised."""

import json
import threading
from typing import Any

import pytest

from testbed.waiting import wait_until
from tests.contract.client.handler import Handler
from tests.contract.client.learners import ASSIGNMENTS, Connect, finish, ready
from tests.contract.client.stand_in import StandInApi

SNAPSHOT = "/v1/snapshot"


def edited(body: Any, old: str, new: str) -> bytes:
    """The body as JSON with one value changed to what `json` itself would not write."""
    text = json.dumps(body)
    assert text.count(old) >= 1
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"revision": 2', '"revision": 1e999'),
        ('"rollout": "canary-1.0"', '"rollout": {}'),
        ('"propensity": 1.0', '"propensity": 1' + "0" * 400),
    ],
)
def test_a_malformed_draw_gets_control_and_the_next_its_arm(
    api: StandInApi, connect: Connect, old: str, new: str
) -> None:
    api.serve(percent=99)
    learner = ready(connect(), 2)

    def malformed(handler: Handler) -> None:
        told = [{**api.assign(run), "propensity": 1.0} for run in handler.body["runs"]]
        handler.raw(200, edited({"assignments": told}, old, new), {})

    api.misbehave[ASSIGNMENTS] = malformed
    assert learner.start().policy.name == "planner-v1"
    assert learner.stats()["registration_errors"] == 1
    api.misbehave.clear()
    learner.start()
    assert learner.stats()["registration_requests"] == 2
    assert "loop_errors" not in learner.stats()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"topK": 40', '"topK": 1e999'),
        ('"ttlSeconds": 300.0', '"ttlSeconds": 1' + "0" * 400),
        (
            '"assignment": null',
            '"assignment": {"unit": "TenantEpoch", "epochSeconds": 1' + "0" * 400 + "}",
        ),
    ],
)
def test_a_malformed_snapshot_is_no_news_and_the_next_is(
    api: StandInApi, connect: Connect, old: str, new: str
) -> None:
    def malformed(handler: Handler) -> None:
        handler.raw(200, edited(api.snapshot(), old, new), {})

    api.misbehave[SNAPSHOT] = malformed
    learner = connect(options={"first_snapshot_seconds": 0.0})
    wait_until(
        lambda: learner.stats().get("snapshot_errors"), what="the answer", deadline_seconds=60
    )
    assert learner.start(tenant="acme").policy.name == ""
    api.misbehave.clear()
    ready(learner)
    assert "loop_errors" not in learner.stats()


class Bug:
    """Raises what no loop expects, the first time it is called; then it does its work."""

    def __init__(self, work: Any) -> None:
        self.work, self.raised = work, threading.Event()

    def __call__(self, *given: Any, **named: Any) -> Any:
        if not self.raised.is_set():
            self.raised.set()
            raise LookupError("s3cret")
        return self.work(*given, **named)


def plant(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Bug:
    bug = Bug(getattr(owner, name))
    monkeypatch.setattr(owner, name, bug)
    return bug


def test_every_loop_survives_a_bug_and_tells_its_type(
    api: StandInApi,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    learner = ready(connect(options={"long_poll_seconds": 1}))
    engine = learner._engine
    bugs = [
        plant(monkeypatch, engine.source, "_ask"),
        plant(monkeypatch, engine.registrar, "_send"),
        plant(monkeypatch, engine.reporter.outbox, "_deliver"),
        plant(monkeypatch, engine.shadower, "_opened"),
    ]
    api.shadow = "planner-v2"
    api.serve(percent=None)
    ready(learner, 2)
    for _ in range(2):
        learner.shadow(learner.start(), lambda again: again.finish(metrics={}))
    api.shadow = None
    api.serve(percent=99)
    ready(learner, 3)
    assert learner.start().policy.name == "planner-v1"  # no answer: control
    run = finish(learner)
    assert learner.flush(60)
    assert all(bug.raised.is_set() for bug in bugs)
    assert run in api.runs
    assert learner.stats()["loop_errors"] == len(bugs)
    wait_until(  # after the back-off
        lambda: learner.start().assignment.rollout, what="a draw", deadline_seconds=60
    )
    assert caplog.text.count("goes on after a bug: LookupError") == len(bugs)
    assert "s3cret" not in caplog.text

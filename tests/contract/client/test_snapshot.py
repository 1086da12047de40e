"""What the SDK believes of the traffic, and for how long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from learnops.client import Learner, Options
from learnops.client.assignment import Assignment
from learnops.client.engine import Engine
from learnops.client.settings import Settings
from learnops.client.waiting import in_thread
from testbed.waiting import wait_until
from tests.contract.client.handler import Handler
from tests.contract.client.learners import Connect, ready, unit
from tests.contract.client.stand_in import StandInApi

SNAPSHOT = "/v1/snapshot"


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@contextmanager
def engine_on(api: StandInApi, clock: Clock) -> Iterator[Engine]:
    settings = Settings.resolve(
        doer="planner",
        api=api.url,
        token=None,
        namespace="agents",
        serving=None,
        options=Options(registration_seconds=20.0, long_poll_seconds=1),
    )
    engine = Engine(settings=settings, default_policy=None, clock=clock)
    engine.start()
    try:
        knows(engine, lambda: engine.holder.view is not None, "a snapshot")
        yield engine
    finally:
        engine.close(1.0)


def knows(engine: Engine, check: Callable[[], bool], what: str) -> None:
    wait_until(check, what=what, deadline_seconds=60)


def assign(engine: Engine, unit_id: str) -> Assignment:
    return in_thread(engine.router.assign(run_id=f"run-{unit_id}", session=unit_id))


def test_the_dead_man_switch_gives_new_units_control_and_keeps_drawn_ones(api: StandInApi) -> None:
    api.serve(percent=50, ttl=30.0)
    clock = Clock()
    with engine_on(api, clock) as engine:
        drawn = unit("candidate")
        assert assign(engine, drawn).arm == "candidate"
        api.stop()
        clock.seconds += 29.0
        # Not over yet: it still asks the api (which is dead, so control), and counts no switch.
        assert assign(engine, unit("candidate", after="x")).propensity == 0.0
        assert "dead_man_switch" not in engine.telemetry.counts()
        clock.seconds += 2.0
        late = assign(engine, unit("candidate", after="y"))
        assert (late.arm, late.propensity, late.policy.name) == ("control", 0.0, "planner-v1")
        assert engine.telemetry.counts()["dead_man_switch"] == 1
        kept = in_thread(engine.router.assign(run_id="another-run", session=drawn))
        assert (kept.arm, kept.policy.name, kept.rollout) == ("candidate", "planner-v2", None)


def test_a_304_renews_the_time_to_live(api: StandInApi) -> None:
    api.serve(percent=50, ttl=30.0)
    clock = Clock()
    with engine_on(api, clock) as engine:
        clock.seconds += 31.0
        knows(
            engine,
            lambda: (view := engine.holder.view) is not None and view.fresh(clock()),
            "a renewed time to live",
        )
        assert assign(engine, unit("candidate")).arm == "candidate"


def test_an_operator_that_is_gone_ends_it_while_the_api_lives(api: StandInApi) -> None:
    api.serve(percent=50, ttl=30.0)
    clock = Clock()
    with engine_on(api, clock) as engine:
        api.ttl = 0.0  # the Lease ran out
        knows(
            engine,
            lambda: (view := engine.holder.view) is not None and not view.fresh(clock()),
            "the end of the time to live",
        )
        assert assign(engine, unit("candidate")).propensity == 0.0
        assert api.registrations == []


def test_a_switch_that_is_turned_off_never_opens(api: StandInApi) -> None:
    api.serve(percent=50, ttl=None)
    clock = Clock()
    with engine_on(api, clock) as engine:
        clock.seconds += 1e9
        assert assign(engine, unit("candidate")).arm == "candidate"


def test_a_share_of_100_percent_falls_back_to_control_too(api: StandInApi) -> None:
    api.serve(percent=100, ttl=30.0)
    clock = Clock()
    with engine_on(api, clock) as engine:
        assert assign(engine, "a").arm == "candidate"
        api.stop()
        clock.seconds += 31.0
        assert assign(engine, "b").policy.name == "planner-v1"


def test_a_lower_revision_is_refused_but_not_from_a_new_doer(
    api: StandInApi, connect: Connect
) -> None:
    api.serve(percent=None, revision=9)
    learner = ready(connect(), 9)
    api.serve(percent=50, revision=8)  # a replica that lags
    api.wait_for(lambda: learner.stats().get("snapshots_refused"), "a refusal")
    assert learner.start().propensity == 0.0
    api.serve(percent=None, revision=1, uid="doer-2")
    ready(learner, 1)
    refused = learner.stats()["snapshots_refused"]
    api.serve(percent=50, revision=10, uid="doer-1")  # the old doer, from a replica that lags
    api.wait_for(lambda: learner.stats()["snapshots_refused"] != refused, "another refusal")
    assert learner.stats()["revision"] == 1


def test_changes_arrive_by_long_poll(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    api.serve(percent=50)
    ready(learner, 2)
    polls = [r for r in api.requests if r["path"] == SNAPSHOT]
    assert [r["query"]["waitSeconds"] for r in polls][:2] == ["0", "25"]
    assert len(polls) <= 4


@pytest.mark.parametrize(("ttl", "wait"), [(8.9, "2"), (0.0, "1"), (3000.0, "25"), (None, "25")])
def test_the_long_poll_ends_before_the_time_to_live(
    api: StandInApi, connect: Connect, ttl: float | None, wait: str
) -> None:
    """Else an operator that lives, or that came back, would not be heard of in time."""
    api.ttl = ttl
    ready(connect())

    def polls() -> list[str]:
        return [r["query"]["waitSeconds"] for r in api.requests if r["path"] == SNAPSHOT]

    api.wait_for(lambda: len(polls()) > 1, "the long poll")
    assert polls()[1] == wait


def test_a_server_that_does_not_hold_the_poll_is_not_flooded(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect())
    asked: list[float] = []

    def at_once(handler: Handler) -> None:
        asked.append(time.monotonic())
        handler.answer(304, None, {"X-Learnops-TTL-Seconds": "30"})

    api.misbehave[SNAPSHOT] = at_once
    api.serve(percent=None)  # ends the poll that is under way
    api.wait_for(lambda: len(asked) >= 5, "five polls")
    assert asked[4] - asked[0] > 0.3
    assert learner.start().policy.name == "planner-v1"


WRONG_SNAPSHOTS: dict[str, Callable[[Handler], None]] = {
    "html": lambda handler: handler.raw(200, b"<html>", {"Content-Type": "text/html"}),
    "list": lambda handler: handler.answer(200, []),
    "no salt": lambda handler: handler.answer(200, {**handler.api.snapshot(), "salt": None}),
    "bool revision": lambda h: h.answer(200, {**h.api.snapshot(), "revision": True}),
    "no control": lambda handler: handler.answer(200, {**handler.api.snapshot(), "policies": {}}),
    "ttl": lambda handler: handler.answer(200, {**handler.api.snapshot(), "ttlSeconds": "soon"}),
    "prompts": lambda h: h.answer(200, {**h.api.snapshot(), "policies": {"planner-v1": "?"}}),
    "percent": lambda h: h.answer(
        200, {**h.api.snapshot(), "shares": [{"policy": "planner-v1", "percent": 101}]}
    ),
    "region": lambda h: h.answer(
        200, {**h.api.snapshot(), "shares": [{"policy": "v2", "percent": 30, "start": 80}]}
    ),
    "candidates": lambda h: h.answer(
        200,
        {
            **h.api.snapshot(),
            "rollout": {"id": "x", "control": "planner-v1", "candidates": [], "percent": 5},
        },
    ),
    "rollout": lambda h: h.answer(200, {**h.api.snapshot(), "rollout": {"id": "x"}}),
    "404": lambda handler: handler.answer(404, {"detail": "no such doer"}),
    "403": lambda handler: handler.answer(403, {"detail": "not yours"}),
    "503": lambda handler: handler.answer(503, None, {"Retry-After": "0"}),
    "gone": lambda handler: handler.drop(),
    "cut": lambda handler: handler.raw(200, b"{", {"Content-Type": "application/json"}),
}


@pytest.mark.parametrize("kind", WRONG_SNAPSHOTS)
def test_a_wrong_snapshot_is_never_used_and_a_right_one_is(
    api: StandInApi, connect: Connect, kind: str
) -> None:
    api.misbehave[SNAPSHOT] = WRONG_SNAPSHOTS[kind]
    learner = connect(options={"first_snapshot_seconds": 0.0})
    api.wait_for(lambda: learner.stats().get("snapshot_errors"), "the refused answer")
    assert learner.start().policy.name == ""
    api.misbehave.clear()
    ready(learner)
    assert learner.start().policy.name == "planner-v1"


def test_the_token_is_in_no_log_and_no_counter(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    api.misbehave[SNAPSHOT] = WRONG_SNAPSHOTS["403"]
    learner: Learner = connect(options={"first_snapshot_seconds": 0.0})
    api.wait_for(lambda: "not yours" in caplog.text, "the refused answer to be told")
    assert learner.stats()["snapshot_errors"]
    assert "s3cret" not in caplog.text + str(learner.stats())


def test_closing_breaks_off_the_long_poll(api: StandInApi, connect: Connect) -> None:
    before = set(threading.enumerate())
    learner = ready(connect())
    api.wait_for(
        lambda: len([r for r in api.requests if r["path"] == SNAPSHOT]) == 2, "the long poll"
    )
    began = time.monotonic()
    learner.close()
    assert time.monotonic() - began < 10.0  # and not 25

    def left() -> list[str]:
        new = set(threading.enumerate()) - before
        return [thread.name for thread in new if thread.name.startswith("learnops-")]

    wait_until(
        lambda: not left(),
        what="its threads to end",
        deadline_seconds=60,
        explain=lambda: f"{left()}",
    )
    learner.close()
    assert learner.start().policy.name == "planner-v1"  # an agent that goes on is not hurt

"""What becomes of signals: in order, once, behind their bundle, and never the agent's trouble."""

from datetime import UTC, datetime
from typing import Any

import pytest

from learnops.client import Learner, Run
from tests.contract.client.handler import Handler
from tests.contract.client.learners import BATCH, Connect, finish, ready
from tests.contract.client.stand_in import StandInApi
from tests.contract.client.test_shadow import SHADOWS, Beside, opened


def told(api: StandInApi, run_id: str) -> list[tuple[str, Any]]:
    return [(it["name"], it["value"]) for run, sent in api.signals if run == run_id for it in sent]


def test_a_signal_says_what_was_seen(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    finish(learner, "job/7..a")
    assert learner.flush(60)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    learner.signal("job/7..a", "tests", 0.97, source="ci", note="n", key="k", observed_at=at)
    assert learner.flush(60)
    assert api.signals == [
        (
            "job/7..a",
            [
                {
                    "name": "tests",
                    "value": 0.97,
                    "key": "k",
                    "source": "ci",
                    "note": "n",
                    "observedAt": "2026-01-01T00:00:00+00:00",
                }
            ],
        )
    ]
    assert learner.stats()["signals_accepted"] == 1


def test_those_before_the_end_of_a_run_go_behind_its_bundle(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(options={"batch_seconds": 3600.0}))
    run = learner.start()
    run.signal("compile", False)
    run.signal("compile", True)
    assert api.signals == []
    run.finish(metrics={"grounding": 0.9}, signals={"tests": 1})
    run.signal("human", True)
    assert learner.flush(60)
    assert api.runs[run.id]["signals"] == {"tests": 1.0}
    assert told(api, run.id) == [("compile", False), ("compile", True), ("human", True)]


def test_a_run_whose_bundle_is_on_its_way_is_waited_for(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect(options={"signal_seconds": 0.0}))
    api.serve(percent=50)
    ready(learner, 2)
    api.misbehave[BATCH] = lambda handler: handler.answer(503, {}, {"Retry-After": "0"})
    run_id = finish(learner)
    assert run_id in api.registered  # the api would take it before the bundle
    learner.signal(run_id, "tests", 1)
    learner.signal("another", "tests", 1)
    api.wait_for(lambda: learner.stats().get("signals_dropped"), "that of no run to be given up")
    api.wait_for(lambda: learner.stats().get("report_errors"), "a vain try to report")
    assert f"/v1/runs/{run_id}/signals" not in [it["path"] for it in api.requests]
    assert learner.stats()["signals_waiting"] == 1
    api.misbehave.clear()
    assert learner.flush(60)
    assert told(api, run_id) == [("tests", 1.0)]


def test_one_of_a_run_that_another_process_has_still_to_report_is_tried_again(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect())
    learner.signal("elsewhere", "tests", 1)
    path = "/v1/runs/elsewhere/signals"
    api.wait_for(lambda: sum(it["path"] == path for it in api.requests) >= 2, "two vain tries")
    finish(ready(connect()), "elsewhere")
    assert learner.flush(60)
    assert told(api, "elsewhere") == [("tests", 1.0)]


def test_one_of_an_unknown_run_is_given_up_and_its_neighbours_arrive(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(options={"signal_seconds": 0.2}))
    run_id = finish(learner)
    assert learner.flush(60)
    learner.signal("nobody", "tests", 1)
    learner.signal(run_id, "tests", 1)
    assert learner.flush(60)
    assert told(api, run_id) == [("tests", 1.0)]
    stats = learner.stats()
    assert (stats["signals_accepted"], stats["signals_dropped"]) == (1, 1)


def test_one_that_is_refused_does_not_lose_the_others_of_its_run(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect())
    run = learner.start()
    run.signal("compile", True)
    run.signal("tests", 1, note="refuse me")
    run.signal("human", True)
    run.finish()
    assert learner.flush(60)
    assert told(api, run.id) == [("compile", True), ("human", True)]
    assert learner.stats()["signals_refused"] == 1


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_what_is_not_acknowledged_is_sent_again_under_its_key(
    api: StandInApi, connect: Connect, status: int
) -> None:
    learner = ready(connect())
    run_id = finish(learner)
    assert learner.flush(60)
    path = f"/v1/runs/{run_id}/signals"
    keys: list[str] = []

    def fail(handler: Handler) -> None:
        keys.extend(it["key"] for it in handler.body["signals"])
        if len(keys) == 2:
            del api.misbehave[path]
        handler.answer(status, {}, {"Retry-After": "0"})

    api.misbehave[path] = fail
    learner.signal(run_id, "tests", 1)
    assert learner.flush(60)
    ((_run, (signal,)),) = api.signals
    assert {*keys, signal["key"]} == {signal["key"]}


BAD = [("Tests", 1), ("tests", 3), ("tests", "1"), ("tests", None), ("tests", float("nan"))]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_can_be_no_signal_costs_neither_the_agent_nor_the_run(
    api: StandInApi, connect: Connect, name: str, value: Any
) -> None:
    learner = ready(connect())
    run = learner.start()
    run.signal(name, value)
    run.finish(signals={name: value, "human": 1})
    learner.signal(run.id, name, value)
    assert learner.flush(60)
    assert api.runs[run.id]["signals"] == {"human": 1.0}
    assert told(api, run.id) == []
    assert learner.stats()["signals_invalid"] == 3


def test_too_many_in_a_report_do_not_cost_the_run(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    run = learner.start()
    run.finish(signals={f"check{place}": 1 for place in range(40)})
    assert learner.flush(60)
    assert list(api.runs[run.id]["signals"]) == [f"check{place}" for place in range(32)]
    assert learner.stats()["signals_invalid"] == 8


def test_a_run_that_is_never_reported_has_none(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    run = learner.start()
    run.signal("compile", True)
    learner.withdraw(run)
    run.signal("human", True)
    assert learner.flush(60)
    stats = learner.stats()
    assert (stats["signals_ignored"], stats["signals_waiting"], api.signals) == (2, 0, [])


def test_a_run_without_a_policy_has_none(api: StandInApi, connect: Connect) -> None:
    api.stop()
    learner = connect(options={"first_snapshot_seconds": 0.05})
    run = learner.start()
    run.signal("compile", True)
    run.finish()
    run.signal("human", True)
    stats = learner.stats()
    assert (stats["signals_ignored"], stats["signals_waiting"]) == (2, 0)


def test_a_dry_run_has_none(api: StandInApi, connect: Connect) -> None:
    api.shadow, api.misbehave[SHADOWS] = "planner-v2", opened
    learner = ready(connect())

    @learner.agent
    def plan(run: Run) -> None:
        run.finish(metrics={"grounding": 0.5})
        run.signal("human", not run.dry_run)

    beside = Beside(api, learner)  # takes what the candidate reports
    plan()
    assert learner.flush(60)
    assert len(beside.told) == 1
    ((run_id, _),) = api.runs.items()
    assert told(api, run_id) == [("human", True)]
    assert learner.stats()["signals_ignored"] == 1


@pytest.mark.parametrize(("folder", "left"), [(None, 1), ("off", 0)])
def test_a_closed_learner_counts_what_it_could_not_tell(
    api: StandInApi, connect: Connect, folder: str | None, left: int
) -> None:
    learner: Learner = ready(connect(spool=folder))
    api.stop()
    learner.signal("a", "tests", 1)
    api.wait_for(lambda: learner.stats()["signals_on_disk"] == left, "the disk")
    learner.close(timeout=0.2)
    learner.signal("b", "tests", 1)
    stats = learner.stats()
    assert (stats["signals_dropped"], stats.get("signals_left", 0)) == (2 - left, left)


def test_what_was_told_while_others_waited_does_not_count_as_lost(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(spool="off"))
    known = finish(learner)
    assert learner.flush(60)
    api.misbehave[BATCH] = lambda handler: handler.answer(503, {}, {"Retry-After": "0"})
    waiting = finish(learner)
    for run in (known, waiting):
        learner.signal(run, "tests", 1)
    api.wait_for(lambda: learner.stats().get("signals_accepted"), "that of the run that is known")
    learner.close(0.1)
    assert (told(api, known), told(api, waiting)) == ([("tests", 1.0)], [])
    assert learner.stats()["signals_dropped"] == 1

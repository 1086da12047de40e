"""Bundles that the api did not acknowledge: sent again, halved, dropped and counted."""

import logging
import time
from collections.abc import Callable

import pytest

from learnops.client.waiting import in_thread
from tests.contract.client.handler import Handler
from tests.contract.client.learners import BATCH, Connect, finish, ready
from tests.contract.client.stand_in import StandInApi


def one_forbidden(handler: Handler) -> None:
    others = [{"status": "accepted"} for _ in handler.body["runs"][1:]]
    handler.answer(200, {"results": [{"status": "forbidden"}, *others]})


TRANSIENT: dict[str, Callable[[Handler], None]] = {
    "500": lambda handler: handler.answer(500, {}),
    "403": lambda handler: handler.answer(403, {}),
    "429": lambda handler: handler.answer(429, {}, {"Retry-After": "0"}),
    "503": lambda handler: handler.answer(503, {}, {"Retry-After": "0"}),
    "redirect": lambda handler: handler.answer(307, {}, {"Location": "/v1/elsewhere"}),
    "html": lambda handler: handler.raw(200, b"<html>", {"Content-Type": "text/html"}),
    "garbage": lambda handler: handler.raw(200, b"\x00\xff" * 50, {}),
    "one is forbidden": one_forbidden,
    "cut off": lambda handler: handler.cut_off(),
    "fewer results": lambda handler: handler.answer(200, {"results": []}),
    "gone": lambda handler: handler.drop(),
}


@pytest.mark.parametrize("kind", TRANSIENT)
def test_what_is_not_acknowledged_is_sent_again(
    api: StandInApi, connect: Connect, kind: str
) -> None:
    learner = ready(connect())
    api.misbehave[BATCH] = TRANSIENT[kind]
    ids = {finish(learner) for _ in range(3)}
    api.wait_for(lambda: learner.stats().get("report_errors", 0) >= 2, "two vain tries")  # type: ignore[operator]
    assert api.runs == {}
    api.misbehave.clear()
    assert learner.flush(60)
    assert set(api.runs) == ids


def test_an_answer_that_got_lost_makes_a_duplicate_and_no_second_run(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect())

    def lose(handler: Handler) -> None:
        del api.misbehave[BATCH]
        handler._store(handler.body["runs"])
        handler.answer(502, {})

    api.misbehave[BATCH] = lose
    run_id = finish(learner)
    assert learner.flush(60)
    assert learner.stats()["bundles_duplicate"] == 1
    assert list(api.runs) == [run_id]


def test_retry_after_is_respected(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    tries: list[float] = []

    def busy(handler: Handler) -> None:
        tries.append(time.monotonic())
        if len(tries) == 1:
            handler.answer(429, {}, {"Retry-After": "1"})
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = busy
    finish(learner)
    assert learner.flush(60)
    assert tries[1] - tries[0] >= 1.0


def test_an_api_that_comes_back_gets_everything(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    api.stop()
    ids = {finish(learner) for _ in range(30)}
    api.wait_for(lambda: learner.stats().get("report_errors"), "a vain try")
    api.start()
    assert learner.flush(60)
    assert set(api.runs) == ids


def test_a_bad_bundle_costs_its_neighbours_nothing(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect(options={"batch_seconds": 3600.0}))
    good = [finish(learner)]
    for _ in range(3):
        finish(learner, metrics={"toxicity": -1})
    good.append(finish(learner))
    assert learner.flush(60)
    assert list(api.runs) == good
    assert learner.stats()["bundles_invalid"] == 3
    assert caplog.text.count("invalid: metrics.toxicity: is -1; send 0 or more") == 1
    assert caplog.text.count("metrics.toxicity") == 1


def test_a_batch_that_is_refused_whole_is_halved_until_the_bad_one_stands_alone(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(options={"batch_seconds": 3600.0}))

    def picky(handler: Handler) -> None:
        if any(bundle["runId"] == "bad" for bundle in handler.body["runs"]):
            handler.answer(422, {"detail": "runs[3]: malformed"})
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = picky
    ids = [finish(learner, run_id) for run_id in ("a", "b", "c", "bad", "d")]
    assert learner.flush(60)
    assert list(api.runs) == [run_id for run_id in ids if run_id != "bad"]
    assert learner.stats()["bundles_invalid"] == 1


def test_a_full_buffer_drops_and_counts(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect(options={"buffer_runs": 10}, spool="off"))
    api.stop()
    for _ in range(25):
        finish(learner)
    assert learner.stats()["bundles_dropped"] == 15
    assert learner.stats()["bundles_waiting"] == 10
    assert not learner.flush(0.1)
    api.start()
    assert learner.flush(60)
    assert len(api.runs) == 10


def test_a_bundle_over_the_size_limit_is_dropped(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    # What `finish` makes is never over it.
    in_thread(learner._engine.reporter.report(b'{"runId":"%s"}' % (b"x" * 2**20)))
    assert learner.flush(60)
    assert (api.runs, learner.stats()["bundles_dropped"]) == ({}, 1)


def test_closing_on_a_dead_api_is_bounded_and_says_what_is_lost(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect(spool="off"))
    api.stop()
    for _ in range(4):
        finish(learner)
    began = time.monotonic()
    learner.close(0.3)
    assert time.monotonic() - began < 10.0
    assert learner.stats()["bundles_dropped"] == 4
    assert "4 bundles were not acknowledged within 0.3 s" in caplog.text


def test_a_dead_api_does_not_flood_the_log(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    api.stop()
    for _ in range(50):
        finish(learner)
    api.wait_for(lambda: learner.stats().get("report_errors", 0) >= 3, "three vain tries")  # type: ignore[operator]
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) <= 3

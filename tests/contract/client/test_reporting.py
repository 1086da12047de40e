"""What becomes of a finished run."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from learnops.client import Learner
from learnops.client.waiting import in_thread
from tests.contract.client.api import Api, Handler
from tests.contract.client.test_routing import Connect, ready

BATCH = "/v1/runs:batch"


def finish(learner: Learner, run_id: str | None = None, **given: Any) -> str:
    run = learner.start(run_id=run_id)
    run.finish(**{"metrics": {"grounding": 0.9}, **given})
    return run.id


def test_a_bundle_says_what_the_run_was_and_how_it_went(api: Api, connect: Connect) -> None:
    api.serve(percent=100)
    learner = ready(connect(), 2)
    run = learner.start(tenant="acme", run_id="r1")
    run.finish(
        metrics={"grounding": 0.9},
        gates=[{"name": "compiles", "passed": True}],
        costs={"costUSD": 0.02},
        qav={"asked": 3},
        artifacts=[{"uri": "s3://bucket/plan"}],
        budget={"maxCostUSD": 10},
        duration_milliseconds=812,
    )
    assert learner.flush(10)
    assert api.runs["r1"] == {
        "namespace": "agents",
        "doer": "planner",
        "runId": "r1",
        "policy": "planner-v2",
        "arm": "candidate",
        "propensity": 1.0,
        "revision": 2,
        "tenant": "acme",
        "durationMilliseconds": 812,
        "metrics": {"grounding": 0.9},
        "gates": [{"name": "compiles", "passed": True}],
        "costs": {"costUSD": 0.02},
        "qav": {"asked": 3},
        "artifacts": [{"uri": "s3://bucket/plan"}],
        "budget": {"maxCostUSD": 10},
    }


def test_a_registered_run_names_its_rollout(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    run_id = finish(learner)
    assert learner.flush(10)
    told = api.runs[run_id]
    assert (told["rollout"], told["propensity"]) == ("canary-1.0", 0.5)
    assert told["arm"] == api.registered[run_id]["arm"]
    assert 0 <= told["durationMilliseconds"] < 60_000


_SPACED = "Soci\u00e9t\u00e9\u00a0G"


@pytest.mark.parametrize(
    ("tenant", "told"), [("", None), (42, "42"), ("acme", "acme"), (_SPACED, _SPACED)]
)
def test_no_tenant_makes_a_bundle_that_is_refused(
    api: Api, connect: Connect, tenant: Any, told: str | None
) -> None:
    learner = connect()
    run = learner.start(tenant=tenant)
    run.finish()
    assert learner.flush()
    assert api.runs[run.id].get("tenant") == told


def test_a_long_tenant_is_hashed(api: Api, connect: Connect) -> None:
    learner = connect()
    run = learner.start(tenant="x" * 5000)
    run.finish()
    assert learner.flush()
    assert len(api.runs[run.id]["tenant"]) == 32


def test_bundles_travel_in_batches(api: Api, connect: Connect) -> None:
    learner = ready(connect(options={"batch_seconds": 30.0, "batch_runs": 50}))
    ids = {finish(learner) for _ in range(120)}
    assert learner.flush(10)
    assert set(api.runs) == ids
    assert api.batches == [50, 50, 20]
    assert learner.stats()["bundles_accepted"] == 120
    assert learner.stats()["bundles_waiting"] == 0


def test_closing_drains(api: Api, connect: Connect) -> None:
    learner = ready(connect(options={"batch_seconds": 30.0}))
    ids = {finish(learner) for _ in range(7)}
    learner.close()
    assert set(api.runs) == ids
    finish(learner)
    assert learner.stats()["bundles_dropped"] == 1


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
def test_what_is_not_acknowledged_is_sent_again(api: Api, connect: Connect, kind: str) -> None:
    learner = ready(connect())
    api.misbehave[BATCH] = TRANSIENT[kind]
    ids = {finish(learner) for _ in range(3)}
    api.wait_for(lambda: learner.stats().get("report_errors", 0) >= 2, "two vain tries")  # type: ignore[operator]
    assert api.runs == {}
    api.misbehave.clear()
    assert learner.flush(20)
    assert set(api.runs) == ids


def test_an_answer_that_got_lost_makes_a_duplicate_and_no_second_run(
    api: Api, connect: Connect
) -> None:
    learner = ready(connect())

    def lose(handler: Handler) -> None:
        del api.misbehave[BATCH]
        handler._store(handler.body["runs"])
        handler.answer(502, {})

    api.misbehave[BATCH] = lose
    run_id = finish(learner)
    assert learner.flush(20)
    assert learner.stats()["bundles_duplicate"] == 1
    assert list(api.runs) == [run_id]


def test_retry_after_is_respected(api: Api, connect: Connect) -> None:
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
    assert learner.flush(20)
    assert tries[1] - tries[0] >= 1.0


def test_an_api_that_comes_back_gets_everything(api: Api, connect: Connect) -> None:
    learner = ready(connect())
    api.stop()
    ids = {finish(learner) for _ in range(30)}
    api.wait_for(lambda: learner.stats().get("report_errors"), "a vain try")
    api.start()
    assert learner.flush(20)
    assert set(api.runs) == ids


def test_a_bad_bundle_costs_its_neighbours_nothing(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect(options={"batch_seconds": 30.0}))
    good = [finish(learner)]
    for _ in range(3):
        finish(learner, metrics={"toxicity": -1})
    good.append(finish(learner))
    assert learner.flush(10)
    assert list(api.runs) == good
    assert learner.stats()["bundles_invalid"] == 3
    assert caplog.text.count("invalid: metrics.toxicity: is -1; send 0 or more") == 1
    assert caplog.text.count("metrics.toxicity") == 1


def test_a_batch_that_is_refused_whole_is_halved_until_the_bad_one_stands_alone(
    api: Api, connect: Connect
) -> None:
    learner = ready(connect(options={"batch_seconds": 30.0}))

    def picky(handler: Handler) -> None:
        if any(bundle["runId"] == "bad" for bundle in handler.body["runs"]):
            handler.answer(422, {"detail": "runs[3]: malformed"})
        else:
            handler.behave(BATCH)

    api.misbehave[BATCH] = picky
    ids = [finish(learner, run_id) for run_id in ("a", "b", "c", "bad", "d")]
    assert learner.flush(10)
    assert list(api.runs) == [run_id for run_id in ids if run_id != "bad"]
    assert learner.stats()["bundles_invalid"] == 1


def test_a_full_buffer_drops_and_counts(api: Api, connect: Connect) -> None:
    learner = ready(connect(options={"buffer_runs": 10}, spool="off"))
    api.stop()
    for _ in range(25):
        finish(learner)
    assert learner.stats()["bundles_dropped"] == 15
    assert learner.stats()["bundles_waiting"] == 10
    assert not learner.flush(0.1)
    api.start()
    assert learner.flush(20)
    assert len(api.runs) == 10


def test_a_bundle_over_the_size_limit_is_dropped(api: Api, connect: Connect) -> None:
    learner = ready(connect())
    # What `finish` makes is never over it.
    in_thread(learner._engine.reporter.report(b'{"runId":"%s"}' % (b"x" * 2**20)))
    assert learner.flush(10)
    assert (api.runs, learner.stats()["bundles_dropped"]) == ({}, 1)


def test_closing_on_a_dead_api_is_bounded_and_says_what_is_lost(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect(spool="off"))
    api.stop()
    for _ in range(4):
        finish(learner)
    began = time.monotonic()
    learner.close(0.3)
    assert time.monotonic() - began < 4.0
    assert learner.stats()["bundles_dropped"] == 4
    assert "4 bundles were not acknowledged within 0.3 s" in caplog.text


def test_finishing_twice_counts_once(api: Api, connect: Connect) -> None:
    learner = ready(connect())
    run = learner.start()
    run.finish(metrics={"grounding": 0.1})
    run.finish(metrics={"grounding": 1.0})
    run.fail("too late")
    assert learner.flush(10)
    assert api.runs[run.id]["metrics"] == {"grounding": 0.1}
    assert learner.stats()["finishes_ignored"] == 2


def test_an_exception_is_reported_and_goes_on(api: Api, connect: Connect) -> None:
    learner = ready(connect())
    with pytest.raises(RuntimeError, match="hunter2"), learner.start(run_id="r") as run:
        raise RuntimeError("password hunter2")
    assert run.id == "r"
    assert learner.flush(10)
    told = api.runs["r"]
    assert told["gates"] == [{"name": "completed", "passed": False}]
    assert told["qav"] == {"error": "RuntimeError"}
    assert "hunter2" not in json.dumps(told)


def test_a_with_block_without_finish_is_reported_and_named(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    with learner.start(run_id="silent"):
        pass
    with learner.start(run_id="good") as run:
        run.finish(metrics={"grounding": 1.0})
    assert learner.flush(10)
    assert api.runs["silent"]["metrics"] == {}
    assert api.runs["good"]["metrics"] == {"grounding": 1.0}
    assert "without finish()" in caplog.text


class Scalar:
    """What an array library's number looks like."""

    size = 1

    def item(self) -> float:
        return 0.25


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}, object(), b"x"])
def test_what_is_no_json_is_left_out_and_named(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture, bad: object
) -> None:
    learner = ready(connect())
    finish(learner, "r", metrics={"grounding": Scalar()}, qav={"odd": bad})
    assert learner.flush(10)
    assert api.runs["r"]["metrics"] == {"grounding": 0.25}
    assert api.runs["r"]["qav"] == {}
    assert "qav.odd of a run was left out: " in caplog.text


def test_many_threads_lose_nothing(api: Api, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    ids: list[str] = []

    def agent() -> None:
        ids.extend([finish(learner) for _ in range(50)])

    threads = [threading.Thread(target=agent) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert learner.flush(20)
    assert len(ids) == 400
    assert set(api.runs) == set(ids)
    assert all(told["propensity"] in (0.5, 0.0) for told in api.runs.values())


FORK = """
import os, sys
from learnops.client import Learner
learner = Learner("planner", api=sys.argv[1], namespace="agents")
inherited = learner.start(run_id="inherited")
learner.start(run_id="parent-before").finish(metrics={"grounding": 1.0})
child = os.fork()
if child == 0:
    inherited.finish(metrics={"grounding": 1.0})
    for n in range(3):
        learner.start(run_id=f"child-{n}").finish(metrics={"grounding": 1.0})
    learner.close()
    os._exit(0 if learner.stats()["bundles_accepted"] == 4 else 1)
learner.start(run_id="parent-after").finish(metrics={"grounding": 1.0})
status = os.waitpid(child, 0)[1]
learner.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_works_and_sends_nothing_twice(api: Api) -> None:
    api.serve(percent=50)
    done = subprocess.run(
        [sys.executable, "-c", FORK, api.url], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    expected = {"inherited", "parent-before", "parent-after", *(f"child-{n}" for n in range(3))}
    assert set(api.runs) == expected
    assert sum(api.batches) == len(expected)


EXIT = """
import sys
from learnops.client import Learner
Learner("planner", api=sys.argv[1], namespace="agents").start(run_id="r").finish()
"""


def test_a_process_that_ends_without_close_still_reports(api: Api) -> None:
    script = EXIT.replace("Learner(", "l = Learner(").replace(".start", "; l.start", 1)
    done = subprocess.run(
        [sys.executable, "-c", script, api.url], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert list(api.runs) == ["r"]


LIGHT = """
import sys
import learnops.client
heavy = {"pydantic", "numpy", "urllib3", "kopf", "fastapi", "asyncio", "decimal"} & set(sys.modules)
sys.exit(f"imported {sorted(heavy)}" if heavy else 0)
"""


def test_importing_the_sdk_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_dead_api_does_not_flood_the_log(
    api: Api, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    api.stop()
    for _ in range(50):
        finish(learner)
    api.wait_for(lambda: learner.stats().get("report_errors", 0) >= 3, "three vain tries")  # type: ignore[operator]
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) <= 3

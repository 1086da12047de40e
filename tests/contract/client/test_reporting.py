"""What a bundle says of a finished run."""

import json
from typing import Any

import pytest

from tests.contract.client.learners import Connect, finish, ready
from tests.contract.client.stand_in import StandInApi


def test_a_bundle_says_what_the_run_was_and_how_it_went(api: StandInApi, connect: Connect) -> None:
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
    assert learner.flush(60)
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


def test_a_registered_run_names_its_rollout(api: StandInApi, connect: Connect) -> None:
    api.serve(percent=50)
    learner = ready(connect(), 2)
    run_id = finish(learner)
    assert learner.flush(60)
    told = api.runs[run_id]
    assert (told["rollout"], told["propensity"]) == ("canary-1.0", 0.5)
    assert told["arm"] == api.registered[run_id]["arm"]
    assert 0 <= told["durationMilliseconds"] < 60_000


_SPACED = "Soci\u00e9t\u00e9\u00a0G"


@pytest.mark.parametrize(
    ("tenant", "told"), [("", None), (42, "42"), ("acme", "acme"), (_SPACED, _SPACED)]
)
def test_no_tenant_makes_a_bundle_that_is_refused(
    api: StandInApi, connect: Connect, tenant: Any, told: str | None
) -> None:
    learner = connect()
    run = learner.start(tenant=tenant)
    run.finish()
    assert learner.flush(60)
    assert api.runs[run.id].get("tenant") == told


def test_a_long_tenant_is_hashed(api: StandInApi, connect: Connect) -> None:
    learner = connect()
    run = learner.start(tenant="x" * 5000)
    run.finish()
    assert learner.flush(60)
    assert len(api.runs[run.id]["tenant"]) == 32


def test_bundles_travel_in_batches(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect(options={"batch_seconds": 3600.0, "batch_runs": 50}))
    ids = {finish(learner) for _ in range(120)}
    assert learner.flush(60)
    assert set(api.runs) == ids
    assert api.batches == [50, 50, 20]
    assert learner.stats()["bundles_accepted"] == 120
    assert learner.stats()["bundles_waiting"] == 0


def test_closing_sends_what_waits_and_drops_what_comes_after(
    api: StandInApi, connect: Connect
) -> None:
    learner = ready(connect(options={"batch_seconds": 3600.0, "close_seconds": 60.0}))
    ids = {finish(learner) for _ in range(7)}
    learner.close()
    assert set(api.runs) == ids
    finish(learner)
    assert learner.stats()["bundles_dropped"] == 1


def test_finishing_twice_counts_once(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    run = learner.start()
    run.finish(metrics={"grounding": 0.1})
    run.finish(metrics={"grounding": 1.0})
    run.fail("too late")
    assert learner.flush(60)
    assert api.runs[run.id]["metrics"] == {"grounding": 0.1}
    assert learner.stats()["finishes_ignored"] == 2


def test_an_exception_is_reported_and_goes_on(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    with pytest.raises(RuntimeError, match="hunter2"), learner.start(run_id="r") as run:
        raise RuntimeError("password hunter2")
    assert run.id == "r"
    assert learner.flush(60)
    told = api.runs["r"]
    assert told["gates"] == [{"name": "completed", "passed": False}]
    assert told["qav"] == {"error": "RuntimeError"}
    assert "hunter2" not in json.dumps(told)


def test_a_with_block_without_finish_is_reported_and_named(
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    learner = ready(connect())
    with learner.start(run_id="silent"):
        pass
    with learner.start(run_id="good") as run:
        run.finish(metrics={"grounding": 1.0})
    assert learner.flush(60)
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
    api: StandInApi, connect: Connect, caplog: pytest.LogCaptureFixture, bad: object
) -> None:
    learner = ready(connect())
    finish(learner, "r", metrics={"grounding": Scalar()}, qav={"odd": bad})
    assert learner.flush(60)
    assert api.runs["r"]["metrics"] == {"grounding": 0.25}
    assert api.runs["r"]["qav"] == {}
    assert "qav.odd of a run was left out: " in caplog.text

"""Bundles over real HTTP: scored, stored once, counted once, resolved."""

import json
import time
from statistics import median
from urllib.parse import quote

import psycopg
import pytest

from learnops.server.models import BatchAnswer
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.integration.server.test_assignments import assign
from tests.live_doer import SALT, LiveDoer


def test_a_run_is_scored_and_told_again(api: Api, world: LiveDoer) -> None:
    first = api.post("/v1/runs", world.bundle("a"))
    assert first.status == 201
    assert first.body == {
        "runId": "a",
        "status": "accepted",
        "loss": pytest.approx(0.15),
        "terms": {"contradictions": 0.0, "grounding": pytest.approx(0.2)},
        "weights": {"contradictions": 1.0, "grounding": 3.0},
        "contributions": {"contradictions": 0.0, "grounding": pytest.approx(0.15)},
        "partial": False,
        "missing": [],
    }
    again = api.post("/v1/runs", world.bundle("a"))
    assert (again.status, again.body) == (200, first.body | {"status": "duplicate"})
    found = api.get(f"/v1/runs/a?namespace={world.namespace}").body
    assert found["loss"] == pytest.approx(0.15)
    assert (found["doer"], found["policy"], found["rollout"]) == ("planner", "planner-v1", None)
    assert api.get(f"/v1/runs/never?namespace={world.namespace}").status == 404


def test_repeats_are_answered_as_the_first_after_their_doer_was_deleted(
    api: Api, world: LiveDoer
) -> None:
    assign(api, world, {"runId": "drawn"})
    told = {"log": "ask a@b.example for more"}
    sent = [
        world.bundle("plain"),
        world.bundle("free", qav=told, gates=[{"name": "ask a@b.example", "passed": True}]),
        world.bundle("large", artifacts=[told, {"log": "x" * 20_000}]),
        world.bundle("drawn", qav=told),
    ]
    first = [api.post("/v1/runs", one) for one in sent]
    assert [one.status for one in first] == [201] * 4
    world.kube.delete(f"{world.base}/doers/planner")
    wait_until(
        lambda: api.get(f"/v1/snapshot?namespace={world.namespace}&doer=planner").status == 404,
        what="the api to see that the doer is gone",
        deadline_seconds=30,
    )
    again = [api.post("/v1/runs", one) for one in sent]
    assert [(one.status, one.body) for one in again] == [
        (200, one.body | {"status": "duplicate"}) for one in first
    ]
    other = [api.post("/v1/runs", one | {"tenant": "acme"}) for one in sent]
    assert [(one.status, one.body["field"]) for one in other] == [(422, "doer")] * 3 + [
        (409, "runId")
    ]
    assert api.post("/v1/runs", world.bundle("new")).status == 422


def test_another_content_for_a_known_run_is_a_conflict(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    other = api.post("/v1/runs", world.bundle("a", metrics={"grounding": 1.0}))
    assert other.status == 409
    assert other.body == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "run 'a' is stored with other content; the first stays",
        "field": "runId",
    }
    found = api.get(f"/v1/runs/a?namespace={world.namespace}").body
    assert found["loss"] == pytest.approx(0.15)


def test_a_bad_item_does_not_lose_its_neighbours(api: Api, world: LiveDoer) -> None:
    items = [
        world.bundle("a"),
        world.bundle("a"),
        world.bundle("a", tenant="acme"),
        world.bundle("b", metrics={"grounding": float("nan")}),
        world.bundle("c", doer="nobody"),
        world.bundle("d", metrics={"grounding": 1.5}),
        "no bundle",
        world.bundle("e"),
    ]
    answer = api.post("/v1/runs:batch", {"runs": items})
    BatchAnswer.model_validate(answer.body)  # what the OpenAPI document says
    assert answer.status == 200
    results = answer.body["results"]
    told = [(result["runId"], result["status"]) for result in results]
    assert told == [
        ("a", "accepted"),
        ("a", "duplicate"),
        ("a", "conflict"),
        ("b", "invalid"),
        ("c", "invalid"),
        ("d", "invalid"),
        (None, "invalid"),
        ("e", "accepted"),
    ]
    fields = [result["problem"].get("field") for result in results if "problem" in result]
    assert fields == ["runId", "metrics", "doer", "metrics.grounding", "body"]


def test_a_bad_report_does_not_lose_a_good_one_of_the_same_run(api: Api, world: LiveDoer) -> None:
    (drawn,) = assign(api, world, {"runId": "drawn"})
    items = [
        world.bundle("a", metrics={"grounding": "bad"}),
        world.bundle("a"),
        world.bundle("a"),
        world.bundle("drawn", doer="judge"),
        world.bundle("drawn", policy=drawn["policy"]),
    ]
    results = api.post("/v1/runs:batch", {"runs": items}).body["results"]
    assert [it["status"] for it in results] == [
        "invalid",
        "accepted",
        "duplicate",
        "invalid",
        "accepted",
    ]
    assert results[3]["problem"]["detail"] == (
        "doer: is 'judge', but the run is another doer's; name that one"
    )


def test_a_conflict_does_not_lose_a_repetition_beside_it(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    items = [world.bundle("a", tenant="acme"), world.bundle("a")]
    results = api.post("/v1/runs:batch", {"runs": items}).body["results"]
    assert [it["status"] for it in results] == ["conflict", "duplicate"]


def test_names_are_taken_as_people_write_them(api: Api, world: LiveDoer) -> None:
    """With spaces that do not break, wide ones, marks of direction, joiners."""
    for name in (
        "Soci\u00e9t\u00e9\u00a0G",
        "\u0634\u0631\u0643\u0629\u200f",
        "\u682a\u3000\u4f1a",
        "\U0001f468\u200d\U0001f469",
    ):
        sent = world.bundle(name, tenant=name, gates=[{"name": name, "passed": True}])
        assert api.post("/v1/runs", sent).status == 201
        told = api.get(f"/v1/runs/{quote(name)}?namespace={world.namespace}").body
        assert (told["runId"], told["tenant"]) == (name, name)
        signal = {"name": "tests", "value": 1, "key": name, "source": name}
        body = {"namespace": world.namespace, "doer": "planner", "signals": [signal]}
        assert api.post(f"/v1/runs/{quote(name)}/signals", body).status == 201


def test_ndjson_with_a_broken_line(api: Api, world: LiveDoer) -> None:
    lines = [json.dumps(world.bundle("a")), '{"runId": ', json.dumps(world.bundle("b"))]
    answer = api.call(
        "POST",
        "/v1/runs:batch",
        raw="\n".join(lines).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    statuses = [result["status"] for result in answer.body["results"]]
    assert statuses == ["accepted", "invalid", "accepted"]


def test_the_registration_stands_over_what_the_bundle_says(api: Api, world: LiveDoer) -> None:
    runs = [{"runId": f"r-{number}"} for number in range(20)]
    told = {each["runId"]: each for each in assign(api, world, *runs)}
    (candidate, *_) = [run for run, each in told.items() if each["arm"] == "candidate"]
    lying = world.bundle(candidate, arm="control", propensity=0.9, policy="planner-v1")
    assert api.post("/v1/runs", lying).status == 201
    found = api.get(f"/v1/runs/{candidate}?namespace={world.namespace}").body
    assert (found["arm"], found["policy"], found["propensity"], found["rollout"]) == (
        "candidate",
        "planner-v2",
        0.5,
        SALT,
    )


def test_a_run_is_scored_by_the_weights_at_its_registration(api: Api, world: LiveDoer) -> None:
    assign(api, world, {"runId": "old"}, {"runId": "older"})
    assert api.post("/v1/runs", world.bundle("older")).body["loss"] == pytest.approx(0.15)
    world.reweigh(number=2, contradictions="1")
    assign(api, world, {"runId": "new"})
    assert api.post("/v1/runs", world.bundle("new")).body["weights"] == {"contradictions": 1.0}
    late = api.post("/v1/runs", world.bundle("old")).body
    assert late["weights"] == {"contradictions": 1.0, "grounding": 3.0}
    world.reweigh(number=3, grounding="1")
    assign(api, world, {"runId": "newest"})
    batch = [world.bundle("new"), world.bundle("newest")]
    results = api.post("/v1/runs:batch", {"runs": batch}).body["results"]
    assert [one["status"] for one in results] == ["duplicate", "accepted"]
    assert [one["loss"] for one in results] == [0.0, pytest.approx(0.2)]


def test_evidence_counts_a_run_once_it_is_in_the_resolved_prefix(api: Api, world: LiveDoer) -> None:
    runs = [f"r-{number}" for number in range(20)]
    told = {each["runId"]: each for each in assign(api, world, *({"runId": run} for run in runs))}
    late = runs[0]
    voided = runs[1]
    reports = [world.bundle(run) for run in runs[2:]]
    reports.append(world.bundle(voided, arm="control", propensity=0))
    api.post("/v1/runs:batch", {"runs": reports})
    _sees(api, "learnops_runs_total", 19)
    assert _sum(api, "learnops_evidence_runs_total") == 0  # the first number is open
    api.post("/v1/runs", world.bundle(late))
    _sees(api, "learnops_evidence_runs_total", 19)  # all but the voided one
    for arm in ("control", "candidate"):
        expected = sum(1 for run, each in told.items() if each["arm"] == arm and run != voided)
        labels = {"doer": "planner", "arm": arm, "epoch": "2", "namespace": world.namespace}
        assert api.series("learnops_evidence_runs_total", **labels) == expected
        loss = api.series("learnops_evidence_loss_sum_total", **labels)
        square = api.series("learnops_evidence_loss_sumsq_total", **labels)
        assert loss == pytest.approx(0.15 * expected)
        assert square == pytest.approx(0.15**2 * expected)
        assert api.series("learnops_evidence_timeouts_total", **labels) == 0
    assert _sum(api, "learnops_assignments_total") == 20


def test_a_silent_run_times_out_and_counts_one(api: Api, world: LiveDoer) -> None:
    took = []
    for number in range(1, 6):
        assign(api, world, {"runId": f"silent-{number}"})
        with psycopg.connect(world.database, autocommit=True) as connection:
            connection.execute(
                "UPDATE deployment_routings SET registered_at = registered_at - interval '601 s'"
                " WHERE run_id = %s",
                (f"silent-{number}",),
            )
        aged = time.monotonic()
        _sees(api, "learnops_evidence_loss_sum_total", number)
        took.append(time.monotonic() - aged)
        assert _sum(api, "learnops_evidence_timeouts_total") == number
    assert median(took) < 3, took
    lags = wait_until(lambda: _lags(api, world), what="the lag to be told", deadline_seconds=30)
    assert 0 <= lags[0] < 60
    assert api.post("/v1/runs", world.bundle("silent-1")).body["loss"] == pytest.approx(0.15)
    with psycopg.connect(world.database) as connection:
        routings = connection.execute("SELECT resolution, loss FROM deployment_routings").fetchall()
    assert routings == [("Timeout", 1.0)] * 5


def test_weights_are_those_of_the_registration(api: Api, world: LiveDoer) -> None:
    assign(api, world, {"runId": "before"})
    weights = {"spec": {"crl": {"weights": {"grounding": "1", "contradictions": "0"}}}}
    world.kube.merge(f"{world.base}/doers/planner", weights)
    wait_until(
        lambda: (
            api.post("/v1/runs", world.bundle(f"probe-{time.monotonic_ns()}")).body["weights"]
            == {"grounding": 1.0}
        ),
        what="the new weights to be seen",
        deadline_seconds=30,
    )
    told = api.post("/v1/runs", world.bundle("before")).body
    assert told["weights"] == {"grounding": 3.0, "contradictions": 1.0}


def test_a_rollout_whose_weights_cannot_be_read_harms_its_own_runs_alone(
    api: Api, world: LiveDoer
) -> None:
    assign(api, world, {"runId": "registered"})
    with psycopg.connect(world.database) as connection:
        connection.execute("""UPDATE shadow_deployments SET crl = '{"weights": {"none": "1"}}'""")
    runs = [world.bundle("registered"), world.bundle("neighbour")]
    results = api.post("/v1/runs:batch", {"runs": runs}).body["results"]
    assert [result["status"] for result in results] == ["invalid", "accepted"]
    assert results[0]["problem"]["field"] == "rollout"


def _sees(api: Api, name: str, total: float) -> None:
    wait_until(
        lambda: _sum(api, name) == pytest.approx(total),
        what=f"{name} to be {total:g}",
        deadline_seconds=30,
        explain=lambda: f"it is {_sum(api, name):g}",
    )


def _lags(api: Api, world: LiveDoer) -> list[float]:
    """That of the doer's prefix; nothing before the first look at it has ended."""
    name = "learnops_evidence_prefix_lag_seconds"
    lag = api.series(name, namespace=world.namespace, doer="planner")
    return [] if lag is None else [lag]


def _sum(api: Api, name: str) -> float:
    text = str(api.get("/metrics", token=None).body)
    lines = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)

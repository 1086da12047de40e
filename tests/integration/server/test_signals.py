"""Signals that come after a run, over real HTTP: stored once, in the reward, never in the loss."""

from typing import Any

import pytest

from learnops.server.signal_models import SignalsAnswer
from testbed.waiting import wait_until
from tests.integration.server.conftest import Answer, Api
from tests.integration.server.test_assignments import assign
from tests.live_doer import LiveDoer


def signal(name: str, value: object, key: str, **more: object) -> dict[str, object]:
    return {"name": name, "value": value, "key": key, **more}


def tell(api: Api, world: LiveDoer, run_id: str, *signals: object, doer: str = "planner") -> Answer:
    body = {"namespace": world.namespace, "doer": doer, "signals": list(signals)}
    return api.post(f"/v1/runs/{run_id}/signals", body)


def stored(api: Api, world: LiveDoer, run_id: str) -> Any:
    return api.get(f"/v1/runs/{run_id}?namespace={world.namespace}").body


def test_they_make_the_reward_and_leave_the_loss_alone(api: Api, world: LiveDoer) -> None:
    first = api.post("/v1/runs", world.bundle("a", signals={"compile": True, "tests": 0.5}))
    assert first.status == 201
    before = stored(api, world, "a")
    assert before["reward"]["value"] == pytest.approx((0.3 + 0.4 * 0.5) / 0.7)
    assert before["reward"]["missing"] == ["errors", "human"]
    answer = tell(api, world, "a", signal("tests", 1, "ci/7"), signal("human", False, "thumb"))
    SignalsAnswer.model_validate(answer.body)  # what the OpenAPI document says
    assert (answer.status, answer.body["results"]) == (
        201,
        [{"key": "ci/7", "status": "accepted"}, {"key": "thumb", "status": "accepted"}],
    )
    assert answer.body["reward"]["value"] == pytest.approx((0.3 + 0.4) / 0.8)
    assert [line["term"] for line in answer.body["reward"]["terms"]] == [
        "compile",
        "tests",
        "human",
    ]
    after = stored(api, world, "a")
    assert after["reward"]["value"] == answer.body["reward"]["value"]
    assert after["reward"]["weights"] == {"compile": 0.3, "tests": 0.4, "errors": 0.2, "human": 0.1}
    rest = {name: value for name, value in after.items() if name not in ("signals", "reward")}
    assert rest == {name: before[name] for name in rest}
    assert (rest["loss"], rest["crl"]) == (pytest.approx(0.15), pytest.approx(0.6))


def test_a_run_tells_its_signals_in_the_order_of_arrival(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a", signals={"tests": 0.5}))
    late = signal(
        "human", 1, "b", observedAt="2020-01-01T01:00:00+01:00", source="thumbs", note="ok"
    )
    assert tell(api, world, "a", signal("merged", True, "pull/7"), late).status == 201
    told = stored(api, world, "a")["signals"]
    assert all(each.pop("receivedAt").endswith("Z") for each in told)
    assert told == [
        {
            "name": "tests",
            "value": 0.5,
            "source": "bundle",
            "note": "",
            "key": None,
            "origin": "Bundle",
            "observedAt": None,
        },
        {
            "name": "merged",
            "value": 1.0,
            "source": "",
            "note": "",
            "key": "pull/7",
            "origin": "Later",
            "observedAt": None,
        },
        {
            "name": "human",
            "value": 1.0,
            "source": "thumbs",
            "note": "ok",
            "key": "b",
            "origin": "Later",
            "observedAt": "2020-01-01T00:00:00Z",
        },
    ]


def test_the_last_to_arrive_counts_whatever_time_it_tells(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    for number, (value, time) in enumerate(((1, "2026-01-02"), (0.25, "2026-01-01"))):
        sent = signal("tests", value, f"ci/{number}", observedAt=f"{time}T00:00:00Z")
        assert tell(api, world, "a", sent).status == 201
    assert stored(api, world, "a")["reward"]["value"] == 0.25


def test_a_repetition_is_told_so_and_another_content_is_a_conflict(
    api: Api, world: LiveDoer
) -> None:
    api.post("/v1/runs", world.bundle("a"))
    one = signal("tests", 0.5, "ci/7", source="ci", note="call 555-123-4567")
    first = tell(api, world, "a", one)
    again = tell(api, world, "a", one, one)
    assert (first.status, again.status) == (201, 200)
    assert [it["status"] for it in again.body["results"]] == ["duplicate", "duplicate"]
    assert again.body["reward"] == first.body["reward"]
    other = tell(api, world, "a", signal("human", 1, "new"), {**one, "value": 0.75})
    assert (other.status, other.body["field"]) == (409, "signals[1].key")
    assert other.body["detail"] == (
        "signal 'ci/7' is stored with other content; the first stays: send another key"
    )
    told = [(it["name"], it["value"]) for it in stored(api, world, "a")["signals"]]
    assert told == [("tests", 0.5)]  # of the refused request nothing is stored


def test_a_registered_run_takes_them_before_its_bundle(api: Api, world: LiveDoer) -> None:
    assign(api, world, {"runId": "a"})
    assert tell(api, world, "a", signal("tests", 1, "ci/7")).status == 201
    api.post("/v1/runs", world.bundle("a", signals={"tests": 0, "compile": True}))
    found = stored(api, world, "a")
    assert found["reward"]["value"] == 1.0  # what is sent apart stands over the bundle's own word
    assert [it["origin"] for it in found["signals"]] == ["Later", "Bundle", "Bundle"]


def test_a_run_that_nobody_knows_has_none(api: Api, world: LiveDoer) -> None:
    answer = tell(api, world, "never", signal("tests", 1, "ci/7"))
    assert (answer.status, answer.body["detail"]) == (
        404,
        f"no run 'never' in namespace {world.namespace!r}; send its bundle to POST /v1/runs first, "
        "or correct the id",
    )
    api.post("/v1/runs", world.bundle("never"))
    found = stored(api, world, "never")
    assert (found["signals"], found["reward"]) == ([], None)


def test_a_run_of_another_doer(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    answer = tell(api, world, "a", signal("tests", 1, "ci/7"), doer="judge")
    assert (answer.status, answer.body["field"]) == (422, "doer")
    assert answer.body["detail"] == "doer: is 'judge', but the run is another doer's; name that one"


def test_a_run_takes_a_hundred(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    many = [signal("tests", 1, f"ci/{number}") for number in range(100)]
    assert tell(api, world, "a", *many[:99]).status == 201
    full = tell(api, world, "a", many[99], signal("human", 1, "thumb"))
    assert (full.status, full.body["field"]) == (422, "signals")
    assert full.body["detail"] == "signals: the run has 99 of at most 100; send fewer"
    assert tell(api, world, "a", many[99]).status == 201
    assert tell(api, world, "a", *many).status == 200


def test_an_id_with_slashes_and_no_reward_without_weights(api: Api, world: LiveDoer) -> None:
    path = f"{world.base}/doers/planner"
    reward = {"reward": {"weights": {"human": "2"}}}
    world.kube.merge(path, {"spec": {"learning": reward}})
    api.post("/v1/runs", world.bundle("job/7"))
    key = iter(range(1000))

    def weighed() -> bool:
        tell(api, world, "job%2F7", signal("tests", 1, f"k{next(key)}"))
        found = stored(api, world, "job%2F7")["reward"]
        return found is not None and found["weights"] == {"human": 2.0}

    wait_until(weighed, what="the api to see the weights", deadline_seconds=30)
    found = stored(api, world, "job%2F7")["reward"]
    assert (found["value"], found["partial"], found["terms"]) == (None, True, [])
    answer = tell(api, world, "job%2F7", signal("human", 0.5, "thumb"))
    assert (answer.body["reward"]["value"], answer.body["reward"]["partial"]) == (0.5, False)


def test_personal_data_is_taken_out_of_free_text(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    sent = signal("human", 1, "k", source="bob@example.com", note="ask alice@example.com")
    assert tell(api, world, "a", sent).status == 201
    (told,) = stored(api, world, "a")["signals"]
    assert (told["source"], told["note"]) == ("[email]", "ask [email]")


def test_a_key_with_personal_data_is_refused_and_not_told_back(api: Api, world: LiveDoer) -> None:
    api.post("/v1/runs", world.bundle("a"))
    sent = (signal("tests", 1, "ci/7"), signal("human", 1, "thumb/jane@example.com"))
    answer = tell(api, world, "a", *sent)
    assert (answer.status, answer.body["field"]) == (422, "signals[1].key")
    assert answer.body["detail"] == (
        "signals[1].key: must hold no personal data, but looks like it does (email); "
        "send an id that names nobody"
    )
    assert stored(api, world, "a")["signals"] == []


def test_a_time_counts_as_the_instant_that_it_is_whatever_its_offset(
    api: Api, world: LiveDoer
) -> None:
    """ISO 8601 has offsets up to 23:59, Postgres takes them below 16:00."""
    api.post("/v1/runs", world.bundle("a"))
    told = {
        "2026-11-20T10:00:00+16:00": "2026-11-19T18:00:00Z",
        "2026-11-20T10:00:00-23:59": "2026-11-21T09:59:00Z",
        "2026-11-20T10:00:00+05:30": "2026-11-20T04:30:00Z",
    }
    for at in told:
        answer = tell(api, world, "a", signal("tests", 1, at, observedAt=at))
        assert answer.status == 201, answer.body
        again = signal("tests", 1, at, observedAt=told[at])
        assert tell(api, world, "a", again).body["results"][0]["status"] == "duplicate"
    held = stored(api, world, "a")["signals"]
    assert {each["key"]: each["observedAt"] for each in held} == told


QUALITY = "must be a number from 0 to 1, true or false"
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"value": 3}, "value", f"is 3: {QUALITY}"),
    ({"value": -0.1}, "value", f"is -0.1: {QUALITY}"),
    ({"value": "1"}, "value", f"is '1': {QUALITY}"),
    ({"value": None}, "value", f"is None: {QUALITY}"),
    ({"value": float("nan")}, "value", f"is nan: {QUALITY}"),
    ({"name": "Thumbs up"}, "name", "is 'Thumbs up': String should match pattern "),
    ({"key": ""}, "key", "is '': String should have at least 1 character"),
    ({"key": "a\x00"}, "key", "is 'a\\x00': must have no control characters"),
    ({"note": "a\x00"}, "note", "is 'a\\x00': must have no NUL character"),
    ({"note": "x" * 2001}, "note", "is 'xxx"),
    ({"observedAt": 0}, "observedAt", "is 0: must be a time as text, e.g. 2026-11-20T10:00:00Z"),
    ({"observedAt": "2026-01-01T00:00:00"}, "observedAt", "is '2026-01-01T00:00:00': "),
    ({"observedAt": "0001-01-01T00:00:00Z"}, "observedAt", "is '0001-01-01T00:00:00Z': must be a "),
    ({"unit": "percent"}, "unit", "is no known field; remove it or correct its name"),
]


def test_what_is_no_signal_is_refused_with_its_field(api: Api, world: LiveDoer) -> None:
    for changes, field, detail in BAD:
        answer = tell(api, world, "a", {**signal("tests", 1, "k"), **changes})
        assert (answer.status, answer.body["field"]) == (422, f"signals[0].{field}")
        assert answer.body["detail"].startswith(f"signals[0].{field}: {detail}")
    for signals in ([], [signal("tests", 1, str(number)) for number in range(101)]):
        answer = tell(api, world, "a", *signals)
        assert (answer.status, answer.body["field"]) == (422, "signals")
    answer = api.post("/v1/runs", world.bundle("a", signals={"errors": 3}))
    assert (answer.status, answer.body["detail"]) == (
        422,
        f"signals.errors: is 3: {QUALITY}",
    )

"""One malformed detail costs that detail: the run arrives with the rest, as the api takes it."""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from learnops.domain.bundle_limits import (
    MAX_AMOUNT,
    MAX_ARTIFACTS,
    MAX_DEPTH,
    MAX_ENTRIES,
    MAX_GATES,
    MAX_LABEL,
    MAX_NUMBER,
    MAX_STRING,
)
from learnops.server.models import Bundle
from tests.contract.client.api import Api
from tests.contract.client.test_routing import Connect, ready

Finish = Callable[..., tuple[dict[str, Any], dict[str, Any]]]
GOOD = {"grounding": 0.5}


@pytest.fixture
def finish(api: Api, connect: Connect) -> Finish:
    """Report one run: what arrives, which the api's own model takes, and the learner's counters."""

    def reported(**given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        learner = ready(connect())
        learner.start(run_id="a").finish(**{"metrics": GOOD, **given})
        assert learner.flush(20)
        Bundle.model_validate(api.runs["a"])
        return api.runs["a"], learner.stats()

    return reported


@pytest.mark.parametrize(
    "value",
    [math.nan, -math.inf, Decimal("NaN"), "0.9", [1], b"1", object(), 2**53 + 1, 10**5000, 1j],
    ids=lambda value: f"{type(value).__name__}-{value!s:.9}" if value != 10**5000 else "endless",
)
@pytest.mark.parametrize("section", ["metrics", "costs"])
def test_what_is_no_number_costs_its_entry_alone(
    finish: Finish, caplog: pytest.LogCaptureFixture, section: str, value: object
) -> None:
    told, stats = finish(**{section: {**GOOD, "other": value}})
    assert (told[section], told["metrics"]) == (GOOD, GOOD)
    assert stats["details_dropped"] == 1
    assert caplog.text.count(f"{section}.other of a run was left out: ") == 1


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (np.float32(0.25), 0.25),
        (np.array([0.25]), 0.25),
        (np.bool_(True), True),
        (np.int64(7), 7),
        (2**53, 2**53),
        (None, None),
    ],
)
def test_numbers_of_other_libraries_are_numbers(
    finish: Finish, value: object, arrives: object
) -> None:
    told, stats = finish(metrics={"x": value}, costs={"costUSD": value}, qav={"x": [value]})
    assert told["metrics"] == {"x": arrives}
    assert told["costs"] == {"costUSD": arrives} or isinstance(arrives, bool)
    assert told["qav"] == {"x": [arrives]}
    assert stats.get("details_dropped", 0) == isinstance(arrives, bool)


@pytest.mark.parametrize(
    "given",
    [
        {"grounding": math.nan},
        {"grounding": 1.5},
        {"grounding": -0.1},
        {"grounding": True},
        {"contradictions": -1},
        {"dbMigrationFail": 1},
    ],
    ids=str,
)
def test_a_metric_that_its_term_cannot_read_is_not_reported(
    finish: Finish, given: dict[str, Any]
) -> None:
    told, stats = finish(metrics={"gatePassRate": 1, **given})
    assert told["metrics"] == {"gatePassRate": 1}
    assert stats["details_dropped"] == 1


def test_a_rate_that_was_rounded_arrives_as_it_is(finish: Finish) -> None:
    told, stats = finish(metrics={"grounding": 1.0000000000000002})
    assert told["metrics"] == {"grounding": 1.0000000000000002}
    assert "details_dropped" not in stats


@pytest.mark.parametrize(
    ("gate", "arrives", "counted"),
    [
        (
            {"name": "a", "passed": True, "detail": "x"},
            {"name": "a", "passed": True},
            {"details_dropped": 1},
        ),
        ({"name": "a", "passed": 1}, {"name": "a", "passed": True}, {}),
        ({"name": "a", "passed": np.bool_(False)}, {"name": "a", "passed": False}, {}),
        (MappingProxyType({"name": "a", "passed": True}), {"name": "a", "passed": True}, {}),
        (
            {"name": "a\n", "passed": True},
            {"name": "a\ufffd", "passed": True},
            {"texts_cleaned": 1},
        ),
        ({"name": "a", "passed": "yes"}, {"name": "a", "passed": False}, {"gates_unreadable": 1}),
        ({"name": "a", "passed": 2}, {"name": "a", "passed": False}, {"gates_unreadable": 1}),
        ({"name": "a", "passed": 1.0}, {"name": "a", "passed": False}, {"gates_unreadable": 1}),
        ({"name": "a"}, {"name": "a", "passed": False}, {"gates_unreadable": 1}),
        ({"passed": True}, {"name": "unnamed", "passed": False}, {"gates_unreadable": 1}),
        ("compiles", {"name": "unnamed", "passed": False}, {"gates_unreadable": 1}),
        (None, {"name": "unnamed", "passed": False}, {"gates_unreadable": 1}),
    ],
    ids=str,
)
def test_a_gate_that_does_not_say_that_it_passed_has_not(
    finish: Finish, gate: object, arrives: dict[str, Any], counted: dict[str, int]
) -> None:
    other = {"name": "other", "passed": True}
    told, stats = finish(gates=[other, gate])
    assert told["gates"] == [other, arrives]
    names = ("details_dropped", "texts_cleaned", "gates_unreadable")
    assert {name: stats[name] for name in names if name in stats} == counted


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("tool said \x00", "tool said \ufffd"),
        ("\ud83d", "\ufffd"),
        ("a\ud83db\udc00", "a\ufffdb\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ufeffé\x00", "\ufeffé\ufffd"),
    ],
)
def test_text_that_cannot_be_stored_is_cleaned(
    finish: Finish, caplog: pytest.LogCaptureFixture, text: str, arrives: str
) -> None:
    told, stats = finish(qav={"a": [{text: text}], "b": text}, artifacts=[{"log": (text,)}])
    assert told["qav"] == {"a": [{arrives: arrives}], "b": arrives}
    assert told["artifacts"] == [{"log": [arrives]}]
    assert stats["texts_cleaned"] == 1
    assert caplog.text.count("text of a run had characters that cannot be stored") == 1


def test_an_artifact_that_is_none_costs_no_other(finish: Finish) -> None:
    good = {"uri": "s3://x"}
    told, stats = finish(artifacts=["s3://x", good, {"size": math.nan}, None])
    assert told["artifacts"] == [good]
    assert stats["details_dropped"] == 3


@pytest.mark.parametrize("value", ["812", -1, math.nan, True, None, 1e15 * 1.01, object()])
def test_a_duration_that_is_none_is_left_out(finish: Finish, value: object) -> None:
    told, stats = finish(duration_milliseconds=value)
    if value is None:  # measured
        assert 0 <= told["durationMilliseconds"] < 60_000
    else:
        assert told["durationMilliseconds"] is None
    assert stats.get("details_dropped", 0) == (value is not None)


@pytest.mark.parametrize("value", ["5", 0, -1, math.nan, MAX_AMOUNT * 1.01])
def test_what_an_unreadable_budget_measures_is_left_out_too(finish: Finish, value: object) -> None:
    """By the doer's budget it could look better than it was."""
    told, stats = finish(
        costs={"costUSD": 9, "searches": 3},
        metrics={"latencyP95Milliseconds": 5},
        budget={"maxCostUSD": value, "maxDurationMilliseconds": 10},
    )
    assert told["costs"] == {"searches": 3}
    assert told["metrics"] == {"latencyP95Milliseconds": 5}
    assert told["budget"] == {"maxDurationMilliseconds": 10}
    assert stats["details_dropped"] == 2


@pytest.mark.parametrize(
    ("budget", "left_out"), [({}, 0), ({"maxUSD": 5}, 1), ({"maxCostUSD": None}, 0)]
)
def test_a_budget_that_states_nothing_is_the_doers(
    finish: Finish, budget: dict[str, Any], left_out: int
) -> None:
    told, stats = finish(costs={"costUSD": 9}, budget=budget)
    assert told["costs"] == {"costUSD": 9}
    assert stats.get("details_dropped", 0) == left_out


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


# By bound: the most that is kept, what is reported of a size, where it arrives.
BOUNDS: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "metrics": (MAX_ENTRIES, lambda n: {"metrics": {f"m{i}": i for i in range(n)}}),
    "costs": (MAX_ENTRIES, lambda n: {"costs": {f"c{i}": i for i in range(n)}}),
    "qav": (MAX_ENTRIES, lambda n: {"qav": {f"q{i}": i for i in range(n)}}),
    "gates": (MAX_GATES, lambda n: {"gates": [{"name": "g", "passed": True}] * n}),
    "artifacts": (MAX_ARTIFACTS, lambda n: {"artifacts": [{"at": i} for i in range(n)]}),
    "a metric's name": (MAX_LABEL, lambda n: {"metrics": {"m" * n: 1}}),
    "a name": (MAX_LABEL, lambda n: {"qav": {"q" * n: 1}}),
    "a string": (MAX_STRING, lambda n: {"qav": {"a": "x" * n}}),
    "a string in an artifact": (MAX_STRING, lambda n: {"artifacts": [{"x" * n: "x" * n}]}),
    "depth": (MAX_DEPTH - 1, lambda n: {"qav": {"a": nested(n)}}),
    "depth of an artifact": (MAX_DEPTH - 2, lambda n: {"artifacts": [{"a": nested(n)}]}),
    "a number": (MAX_NUMBER, lambda n: {"metrics": {"a": -n}}),
    "a duration": (int(MAX_AMOUNT), lambda n: {"duration_milliseconds": n}),
    "a budget": (int(MAX_AMOUNT), lambda n: {"budget": {"maxCostUSD": n}}),
}


@pytest.mark.parametrize("what", BOUNDS)
def test_at_the_bound_it_arrives_and_one_beyond_is_left_out(
    api: Api, connect: Connect, what: str
) -> None:
    most, made = BOUNDS[what]
    learner = ready(connect())
    learner.start(run_id="at").finish(**made(most))
    assert learner.flush(20)
    assert "details_dropped" not in learner.stats()
    learner.start(run_id="beyond").finish(**made(most + 1))
    assert learner.flush(20)
    assert learner.stats()["details_dropped"] == 1
    for run in api.runs.values():
        Bundle.model_validate(run)
    (name, value), *_ = made(most).items()
    field = "durationMilliseconds" if name == "duration_milliseconds" else name
    assert api.runs["at"][field] == value


def test_of_too_many_those_that_count_stay(finish: Finish) -> None:
    many = {f"m{number}": number for number in range(200)}
    passed, failed = ({"name": name, "passed": name == "passed"} for name in ("passed", "failed"))
    told, stats = finish(metrics={**many, **GOOD}, gates=[passed] * 300 + [failed])
    assert told["metrics"]["grounding"] == 0.5
    assert (len(told["metrics"]), len(told["gates"])) == (MAX_ENTRIES, MAX_GATES)
    assert told["gates"].count(failed) == 1
    assert stats["details_dropped"] == (201 - MAX_ENTRIES) + (301 - MAX_GATES)


@pytest.mark.parametrize(
    ("given", "kept", "dropped"),
    [
        ({"artifacts": 20, "qav": 1}, "qav", "artifacts"),
        ({"artifacts": 1, "qav": 20}, None, "artifacts and qav"),
        ({"qav": 20}, None, "qav"),
        ({"artifacts": 9, "qav": 9}, "qav", "artifacts"),
    ],
)
def test_over_the_limit_artifacts_go_first_then_qav(
    finish: Finish,
    caplog: pytest.LogCaptureFixture,
    given: dict[str, int],
    kept: str | None,
    dropped: str,
) -> None:
    text = "y" * 60_000
    weighty = {"qav": {str(n): text for n in range(given["qav"])}}
    if "artifacts" in given:
        weighty["artifacts"] = [{"x": text} for _ in range(given["artifacts"])]  # type: ignore[assignment]
    told, stats = finish(**weighty)
    assert told["metrics"] == GOOD
    assert {name for name in ("artifacts", "qav") if told.get(name)} == ({kept} - {None})
    left_out = [name for name in ("artifacts", "qav") if name in dropped]
    assert stats["sections_dropped"] == len(left_out)
    for name in left_out:
        assert caplog.text.count(f"{name} of a run was left out: the bundle was over 1 MiB") == 1
    assert "bundles_dropped" not in stats


def test_the_fullest_bundle_without_them_fits(finish: Finish) -> None:
    wide = "é" * (MAX_LABEL - 3)
    names = [f"{wide}{number:03}" for number in range(MAX_GATES)]
    numbers = {name: -1.2345678901234567e-300 for name in names[:MAX_ENTRIES]}
    told, stats = finish(
        metrics=numbers,
        costs=numbers,
        gates=[{"name": name, "passed": True} for name in names],
        signals={f"s{number:031}": 0.12345678901234567 for number in range(32)},
        qav={"log": ["x" * 60_000] * 20},
    )
    assert (told["metrics"], told["costs"], len(told["gates"])) == (numbers, numbers, MAX_GATES)
    assert stats["sections_dropped"] == 1


def test_a_name_and_no_value_of_the_agents_is_logged(
    finish: Finish, caplog: pytest.LogCaptureFixture
) -> None:
    class Secret:
        def __float__(self) -> float:
            raise RuntimeError("hunter2")

    finish(metrics={"x": Secret()}, qav={"key": {"hunter2"}})
    assert "metrics.x of a run was left out: RuntimeError" in caplog.text
    assert "qav.key of a run was left out: set is not JSON" in caplog.text
    assert "hunter2" not in caplog.text

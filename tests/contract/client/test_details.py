"""One malformed detail costs that detail: the run arrives with the rest, as the api takes it."""

import math
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from learnops.domain.bundle_limits import MAX_AMOUNT
from tests.contract.client.details import GOOD, Finish, finish

__all__ = ["finish"]  # fixtures


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
    assert told["costs"] == ({} if isinstance(arrives, bool) else {"costUSD": arrives})
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

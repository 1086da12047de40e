"""Details beyond the bounds of a bundle: what counts arrives, the rest is left out."""

from collections.abc import Callable
from typing import Any

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
from tests.contract.client.details import GOOD, Finish, finish
from tests.contract.client.learners import Connect, ready
from tests.contract.client.stand_in import StandInApi

__all__ = ["finish"]  # fixtures


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
    api: StandInApi, connect: Connect, what: str
) -> None:
    most, made = BOUNDS[what]
    learner = ready(connect())
    learner.start(run_id="at").finish(**made(most))
    assert learner.flush(60)
    assert "details_dropped" not in learner.stats()
    learner.start(run_id="beyond").finish(**made(most + 1))
    assert learner.flush(60)
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

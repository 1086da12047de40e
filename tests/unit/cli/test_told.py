"""What a command writes of its run: taken at each bound of the api, refused one beyond."""

import json
from pathlib import Path
from typing import Any

import pytest

from learnops.cli.child import Ended
from learnops.cli.told import outcome
from learnops.server.models import Bundle

DONE, FAILED = Ended(code=0, milliseconds=5.0), Ended(code=3, milliseconds=5.0)
RUN = {"namespace": "agents", "doer": "planner", "runId": "r", "policy": "planner-v1"}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def names(count: int) -> dict[str, int]:
    return {f"m{number}": number for number in range(count)}


# By section: how much is kept, what there is of it, and what is told of one more.
BOUNDS: dict[str, tuple[int, Any, str]] = {
    "metrics": (127, lambda n: {"metrics": names(n)}, "metrics: must have at most 127 entries"),
    "costs": (128, lambda n: {"costs": names(n)}, "costs: must have at most 128 entries"),
    "qav": (127, lambda n: {"qav": names(n)}, "qav: must have at most 127 entries"),
    "gates": (
        255,
        lambda n: {"gates": [{"name": "g", "passed": True}] * n},
        "gates: must have at most 255 entries",
    ),
    "artifacts": (
        256,
        lambda n: {"artifacts": [{}] * n},
        "artifacts: must have at most 256 entries",
    ),
    "a name": (
        128,
        lambda n: {"qav": {"n" * n: 1}},
        "qav.'"
        + "n" * 79
        + ": must be a name of 1 to 128 characters, no control characters among them",
    ),
    "a gate's name": (
        128,
        lambda n: {"gates": [{"name": "n" * n, "passed": True}]},
        "gates[0].name: must be a name of 1 to 128 characters, no control characters among them",
    ),
    "a string": (
        65_536,
        lambda n: {"qav": {"a": ["x" * n]}},
        "qav.a[0]: must have strings of at most 65,536 characters",
    ),
    "depth": (
        7,
        lambda n: {"artifacts": [{"a": nested(n - 1)}]},
        "artifacts[0].a" + "[0]" * 7 + ": must be nested at most 8 levels deep",
    ),
    "budget": (
        10**15,
        lambda n: {"budget": {"maxCostUSD": n}},
        "budget.maxCostUSD: must be at most 1e+15",
    ),
}


@pytest.mark.parametrize("what", BOUNDS)
@pytest.mark.parametrize("ended", [DONE, FAILED])
def test_at_the_bound_the_api_takes_it_with_what_is_added(
    tmp_path: Path, what: str, ended: Ended
) -> None:
    most, made, _ = BOUNDS[what]
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(made(most)))
    told, problem = outcome(file, ended)
    assert problem is None
    sent = {
        name: value
        for name in ("metrics", "costs", "qav", "gates", "artifacts", "budget")
        if (value := getattr(told, name)) is not None
    }
    Bundle.model_validate({**RUN, **sent})


@pytest.mark.parametrize("what", BOUNDS)
def test_one_beyond_is_refused_by_its_name(tmp_path: Path, what: str) -> None:
    most, made, why = BOUNDS[what]
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(made(most + 1)))
    told, problem = outcome(file, DONE)
    assert problem == why
    assert told.qav == {"bundleProblem": why}

"""What an agent hands over by mistake costs that part alone: it is not raised, the run is told."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from tests.contract.client.learners import Connect, ready
from tests.contract.client.stand_in import StandInApi

WEST = timezone(timedelta(hours=-5))  # in UTC the end of time is too late
KEY = UUID("6f1b3a0e-0c1f-4f7e-9d5b-0f6a5a0a3c11")


class Ambiguous:
    """As an array or a series: whether it is empty or true it does not say."""

    size = 1

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")

    def item(self) -> float:
        raise RuntimeError("it lies on a device")

    __float__ = item


class Torn(Mapping[str, Any]):
    """A mapping that fails when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("torn")

    def __iter__(self) -> Iterator[str]:
        return iter(("a",))

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"costs": 0.02},
        {"costs": Ambiguous()},
        {"costs": Torn()},
        {"qav": Ambiguous()},
        {"gates": Ambiguous()},
        {"gates": "completed"},
        {"artifacts": {"name": "a"}},
        {"budget": [1]},
        {"signals": [("tests", 1)]},
    ],
    ids=lambda wrong: "-".join(f"{name}-{type(wrong[name]).__name__}" for name in wrong),
)
def test_a_section_of_the_wrong_type_costs_that_section(
    api: StandInApi, connect: Connect, wrong: dict[str, Any]
) -> None:
    learner = ready(connect())
    learner.start(run_id="a").finish(metrics={"grounding": 0.5}, **wrong)
    assert learner.flush(60)
    assert api.runs["a"]["metrics"] == {"grounding": 0.5}
    assert learner.stats()["sections_dropped"] == 1


def test_metrics_of_the_wrong_type_are_left_out(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    wrong: Any = Ambiguous()
    learner.start(run_id="a").finish(metrics=wrong, qav={"answer": "42"})
    assert learner.flush(60)
    assert (api.runs["a"]["metrics"], api.runs["a"]["qav"]) == ({}, {"answer": "42"})
    assert learner.stats()["sections_dropped"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"observed_at": "2026-01-01"},
        {"observed_at": datetime.max.replace(tzinfo=WEST)},
        {"name": ["tests"]},
        {"value": Ambiguous()},
        {"key": Ambiguous()},
    ],
    ids=lambda wrong: "-".join(f"{name}-{type(wrong[name]).__name__}" for name in wrong),
)
def test_a_signal_of_wrong_types_is_left_out_and_counted(
    api: StandInApi, connect: Connect, wrong: dict[str, Any]
) -> None:
    learner = ready(connect())
    learner.start(run_id="a").finish(metrics={})
    learner.signal("a", **{"name": "tests", "value": 1, **wrong})
    assert learner.stats()["signals_invalid"] == 1
    learner.signal("a", "tests", 1)
    assert learner.flush(60)
    assert [len(sent) for _, sent in api.signals] == [1]


def test_a_key_may_be_anything_that_has_a_name(api: StandInApi, connect: Connect) -> None:
    learner = ready(connect())
    learner.start(run_id="a").finish(metrics={})
    key: Any = KEY
    learner.signal("a", "tests", 1, key=key, observed_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert learner.flush(60)
    ((_, (sent,)),) = api.signals
    assert (sent["key"], sent["observedAt"]) == (str(KEY), "2026-01-01T00:00:00+00:00")

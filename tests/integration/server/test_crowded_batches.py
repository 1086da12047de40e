"""A batch that is made to cost holds up nobody, whoever sends it, and is not kept parsed."""

import json
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from tests.integration.server.conftest import TOKEN, Answer, Served
from tests.integration.server.meanwhile import MOST_WAITED, Seen, meanwhile
from tests.integration.server.test_access import Tenants, tenants
from tests.live_doer import LiveDoer

__all__ = ["tenants"]  # a fixture
MIB = 1024 * 1024
MOST_GROWN = 130 * MIB  # parsed whole it takes 150 and more


def crowd(entries: int) -> dict[str, int]:
    """So many names that nobody knows, of 11 bytes each as they are sent."""
    return {f"X{number:06d}": 1 for number in range(entries)}


def fat(world: LiveDoer) -> list[dict[str, Any]]:
    """13 MiB: good bundles, and one object that is no bundle."""
    return [*(world.bundle(f"fat-{number}") for number in range(200)), crowd(1_200_000)]


def unknown(world: LiveDoer) -> list[dict[str, Any]]:
    """13 MiB: a million signals whose names are wrong, none in a bundle that is too long."""
    return [world.bundle(f"many-{number}", signals=crowd(80_000)) for number in range(15)]


# Of the one that takes a second or two, where a pause of any thread is much of its time, the middle
# of several is looked at. The other takes long.
TIMES = {fat: 5, unknown: 1}


def post(served: Any, runs: list[dict[str, Any]], *, token: str) -> Callable[[], Answer]:
    raw = json.dumps({"runs": runs}, separators=(",", ":")).encode()
    return lambda: served.api.call("POST", "/v1/runs:batch", raw=raw, token=token)


@pytest.mark.parametrize("made", [fat, unknown])
def test_it_holds_up_nobody(served: Served, made: Callable[[LiveDoer], Any]) -> None:
    runs = made(served.world)
    seen = [meanwhile(served.api, post(served, runs, token=TOKEN)) for _ in range(TIMES[made])]
    for one in seen:
        assert one.answer.status == 200, one.answer.body
        results = one.answer.body["results"]
        assert len(results) == len(runs)
        assert results[-1]["status"] == "invalid"
    holds_up_nobody(seen)


@pytest.mark.parametrize("made", [fat, unknown])
def test_nor_does_that_of_somebody_without_a_right(
    tenants: Tenants, made: Callable[[LiveDoer], Any]
) -> None:
    token = tenants.accounts.token(tenants.namespace, "nobody")
    runs = [*made(tenants.ours), tenants.ours.bundle("one")]
    seen = [meanwhile(tenants.api, post(tenants, runs, token=token)) for _ in range(TIMES[made])]
    assert {one.answer.status for one in seen} == {403}
    holds_up_nobody(seen)


def holds_up_nobody(seen: list[Seen]) -> None:
    waited = [one.waited for one in seen]
    assert median(waited) < MOST_WAITED, waited
    assert max(one.grown for one in seen) < MOST_GROWN

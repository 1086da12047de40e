"""A batch that is made to cost holds up nobody, whoever sends it, and is not kept parsed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.integration.server.conftest import TOKEN, Answer, Served
from tests.integration.server.test_access import Tenants, tenants
from tests.integration.server.world import World

__all__ = ["tenants"]  # a fixture
MIB = 1024 * 1024


def crowd(entries: int) -> dict[str, int]:
    """So many names that nobody knows, of 11 bytes each as they are sent."""
    return {f"X{number:06d}": 1 for number in range(entries)}


def fat(world: World) -> list[dict[str, Any]]:
    """13 MiB: good bundles, and one object that is no bundle."""
    return [*(world.bundle(f"fat-{number}") for number in range(200)), crowd(1_200_000)]


def unknown(world: World) -> list[dict[str, Any]]:
    """13 MiB: a million signals whose names are wrong, none in a bundle that is too long."""
    return [world.bundle(f"many-{number}", signals=crowd(80_000)) for number in range(15)]


def meanwhile(served: Any, sent: Callable[[], Answer]) -> tuple[Answer, int, int]:
    """The answer to it, how often the api told in between that it lives, and the memory it took."""
    process = psutil.Process(served.api.process.pid)
    before = peak = process.memory_info().rss
    between = 0
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(sent)
        while not answering.done():
            assert served.api.get("/livez", token=None).status == 200
            peak = max(peak, process.memory_info().rss)
            between += 1
    return answering.result(), between, peak - before


def post(served: Any, runs: list[dict[str, Any]], *, token: str) -> Callable[[], Answer]:
    raw = json.dumps({"runs": runs}, separators=(",", ":")).encode()
    return lambda: served.api.call("POST", "/v1/runs:batch", raw=raw, token=token)


@pytest.mark.parametrize("made", [fat, unknown])
def test_it_holds_up_nobody(served: Served, made: Callable[[World], Any]) -> None:
    runs = made(served.world)
    answer, between, grown = meanwhile(served, post(served, runs, token=TOKEN))
    results = answer.body["results"]
    assert (answer.status, len(results)) == (200, len(runs))
    assert results[-1]["status"] == "invalid"
    assert between >= 15  # a few, where the loop stands still meanwhile
    assert grown < 100 * MIB  # parsed whole it takes 150 and more


@pytest.mark.parametrize("made", [fat, unknown])
def test_nor_does_that_of_somebody_without_a_right(
    tenants: Tenants, made: Callable[[World], Any]
) -> None:
    token = tenants.accounts.token(tenants.namespace, "nobody")
    runs = [*made(tenants.ours), tenants.ours.bundle("one")]
    answer, between, grown = meanwhile(tenants, post(tenants, runs, token=token))
    assert answer.status == 403
    assert between >= 15
    assert grown < 100 * MIB

"""The event crl-computed, heard by a real listener: every stored run once, after its commit."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.live_doer import LiveDoer

Listener = psycopg.Connection[Any]


@pytest.fixture
def listener(world: LiveDoer) -> Iterator[Listener]:
    with psycopg.connect(world.database, autocommit=True) as connection:
        connection.execute("LISTEN crl_computed")
        yield connection


def heard(listener: Listener, *, runs: int) -> list[tuple[int, Any]]:
    """The size and content of each payload, until so many runs were told."""
    payloads: list[tuple[int, Any]] = []

    def enough() -> bool:
        payloads.extend(
            (len(it.payload.encode()), json.loads(it.payload))
            for it in listener.notifies(timeout=0.1)
        )
        return sum(len(told["runs"]) for _, told in payloads) >= runs

    wait_until(enough, what=f"{runs} runs announced", deadline_seconds=30)
    return payloads


@pytest.mark.every_postgres
def test_a_stored_run_is_told_with_its_crl(api: Api, world: LiveDoer, listener: Listener) -> None:
    stored = api.post("/v1/runs", world.bundle("a")).body
    ((_, told),) = heard(listener, runs=1)
    crl = stored["loss"] * sum(stored["weights"].values())
    assert told == {
        "namespace": world.namespace,
        "doer": "planner",
        "runs": [{"runId": "a", "crl": pytest.approx(crl), "loss": stored["loss"]}],
    }
    found = api.get(f"/v1/runs/a?namespace={world.namespace}").body
    assert found["crl"] == pytest.approx(crl)


def test_a_batch_is_told_whole_and_once(api: Api, world: LiveDoer, listener: Listener) -> None:
    ids = [f"{'r' * 150}-{number}" for number in range(300)]
    bundles = [world.bundle(run_id) for run_id in ids]
    refused = world.bundle("refused", metrics={"grounding": 2})
    for _ in range(2):  # the repetition stores nothing, and is no event
        assert api.post("/v1/runs:batch", {"runs": [*bundles, refused]}).status == 200
    api.post("/v1/runs", world.bundle("last"))
    payloads = heard(listener, runs=301)
    told = [run["runId"] for _, payload in payloads for run in payload["runs"]]
    assert told == [*ids, "last"]
    assert len(payloads) > 5
    assert max(size for size, _ in payloads) < 8000

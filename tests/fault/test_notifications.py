"""A listener that stands still fills Postgres' one queue of notifications: nothing stored waits."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from testbed.postgres import Postgres
from testbed.waiting import wait_until
from tests.databases import own_server
from tests.integration.server.conftest import Api
from tests.live_doer import SALT, LiveDoer

Sleeper = psycopg.Connection[Any]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server whose queue of notifications is full after half a megabyte."""
    with own_server(major=18) as server:  # before 17 the queue has 8 GB
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_notify_queue_pages = 64")
        server.stop()
        yield server.start()


def full_queue(world: LiveDoer) -> Sleeper:
    """Somebody who listens and stands still in a transaction; the queue behind is full."""
    sleeper = psycopg.connect(world.database)
    sleeper.execute("LISTEN crl_computed")
    sleeper.commit()
    sleeper.execute("SELECT 1")
    with psycopg.connect(world.database, autocommit=True) as connection:

        def refused() -> bool:
            try:
                connection.execute("SELECT pg_notify('crl_computed', repeat('x', 7000))")
            except psycopg.errors.ProgramLimitExceeded:
                return True
            return False

        wait_until(refused, what="a full queue", deadline_seconds=60, interval_seconds=0.001)
    return sleeper


def prefix(world: LiveDoer) -> int:
    with psycopg.connect(world.database) as connection:
        row = connection.execute(
            "SELECT prefix_seq FROM rollout_prefixes WHERE rollout = %s", (SALT,)
        ).fetchone()
    return 0 if row is None else int(row[0])


def register(api: Api, world: LiveDoer, *run_ids: str) -> None:
    runs = [{"runId": run_id} for run_id in run_ids]
    body = {"namespace": world.namespace, "doer": "planner", "runs": runs}
    assert api.post("/v1/assignments", body).status == 200


def test_evidence_goes_on_and_wake_ups_are_back_once_the_listener_has_gone(
    live_api: tuple[Api, LiveDoer],
) -> None:
    api, world = live_api
    register(api, world, "r1", "r2", "r3")
    with full_queue(world):
        for run_id in ("r1", "r2"):
            assert api.post("/v1/runs", world.bundle(run_id)).status == 201
        wait_until(lambda: prefix(world) == 2, what="the runs in the prefix", deadline_seconds=60)
        wait_until(
            lambda: api.series("learnops_evidence_runs_total", doer="planner"),
            what="the runs to be counted",
            deadline_seconds=60,
        )
        for channel in ("learnops_evidence", "crl_computed"):
            wait_until(
                lambda channel=channel: api.series(
                    "learnops_notifications_dropped_total", channel=channel
                ),
                what=f"what {channel} lost to be counted",
                deadline_seconds=60,
            )
    with psycopg.connect(world.database, autocommit=True) as operator:
        operator.execute("LISTEN learnops_evidence")
        assert api.post("/v1/runs", world.bundle("r3")).status == 201
        told = next(operator.notifies(timeout=60))
        assert told.payload == f"{world.namespace}/planner"
    assert prefix(world) == 3


def test_what_a_candidate_in_shadow_tells_is_stored(live_api: tuple[Api, LiveDoer]) -> None:
    api, world = live_api
    shares = [{"policy": "planner-v1", "percent": 100}]
    shadow = {"revision": 3, "salt": SALT, "canary": "planner-canary", "shares": shares}
    world.status("doers", "planner", {"traffic": {**shadow, "shadow": "planner-v2"}})
    pair = {"namespace": world.namespace, "doer": "planner", "rollout": SALT, "runIds": ["r1"]}
    wait_until(
        lambda: api.post("/v1/shadows", pair).body.get("opened"),
        what="the pair to be open",
        deadline_seconds=60,
    )
    with full_queue(world):
        told = {"runs": [world.bundle("r1", policy="planner-v2")]}
        answer = api.post("/v1/shadows:report", told)
        assert answer.status == 200
        assert answer.body["results"][0]["status"] == "accepted"

"""What the api depends on goes away and comes back; the api is told to stop."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString

import psycopg

from testbed.postgres import Postgres
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api
from tests.live_doer import LiveDoer

SDK_WAITS_SECONDS = 10.0
AT_ONCE_SECONDS = 2.0  # a deadline of 8 s and a flush of 20 s are not waited for


def snapshot(world: LiveDoer, *, wait: int = 0) -> str:
    return f"/v1/snapshot?namespace={world.namespace}&doer=planner&waitSeconds={wait}"


def test_postgres_away_is_503_and_snapshots_go_on(
    live_api: tuple[Api, LiveDoer], postgres: Postgres
) -> None:
    api, world = live_api
    assert api.post("/v1/runs", world.bundle("before")).status == 201
    postgres.kill()
    assign = {"namespace": world.namespace, "doer": "planner", "runs": [{"runId": "r"}]}
    for path, body in (("/v1/runs", world.bundle("during")), ("/v1/assignments", assign)):
        answer = api.post(path, body)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
    assert api.get(snapshot(world)).status == 200
    wait_until(lambda: not api.ready(), what="/readyz to say so", deadline_seconds=10)
    told = api.get("/readyz", token=None).body["components"]
    assert told["postgres"] == "the database does not answer"
    postgres.start()
    wait_until(api.ready, what="the api to be ready again", deadline_seconds=20)
    assert api.post("/v1/runs", world.bundle("during")).status == 201
    assert api.post("/v1/runs", world.bundle("before")).status == 200
    assert api.post("/v1/assignments", assign).body["assignments"][0]["registered"] is True


def test_a_postgres_that_takes_no_writes_is_503_and_says_so(
    live_api: tuple[Api, LiveDoer], postgres: Postgres
) -> None:
    """As after a failover onto a standby: it answers, and stores nothing."""
    api, world = live_api
    read_only(postgres, "SET default_transaction_read_only = on")
    assign = {"namespace": world.namespace, "doer": "planner", "runs": [{"runId": "r"}]}
    for path, body in (
        ("/v1/runs", world.bundle("a")),
        ("/v1/runs:batch", {"runs": [world.bundle("a")]}),
        ("/v1/assignments", assign),
    ):
        answer = api.post(path, body)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
    wait_until(lambda: not api.ready(), what="/readyz to say so", deadline_seconds=10)
    told = api.get("/readyz", token=None).body["components"]["postgres"]
    assert told.startswith("the database takes no writes")
    assert api.get("/health", token=None).body["status"] == "down"
    read_only(postgres, "RESET default_transaction_read_only")
    wait_until(api.ready, what="the api to be ready again", deadline_seconds=20)
    assert api.post("/v1/runs", world.bundle("a")).status == 201


def read_only(postgres: Postgres, change: LiteralString) -> None:
    """For every session, whatever it was told itself; in force when this returns."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM {change}")
        connection.execute("SELECT pg_reload_conf()")
    wait_until(
        lambda: postgres_is_read_only(postgres) == change.startswith("SET"),
        what="the setting to be read",
        deadline_seconds=10,
    )


def postgres_is_read_only(postgres: Postgres) -> bool:
    with psycopg.connect(postgres.url()) as connection:
        row = connection.execute("SHOW transaction_read_only").fetchone()
    return row == ("on",)


def test_a_frozen_postgres_holds_no_route_up(
    live_api: tuple[Api, LiveDoer], postgres: Postgres
) -> None:
    api, world = live_api
    route = f"/v1/route?namespace={world.namespace}&doer=planner&runId="
    assert api.get(f"{route}before").body["registered"] is True
    postgres.freeze()
    try:
        began = time.monotonic()
        answer = api.get(f"{route}during")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
        assert time.monotonic() - began < SDK_WAITS_SECONDS
        wait_until(
            lambda: (
                api.get("/readyz", token=None).body["components"]["postgres"]
                == "the database does not answer"
            ),
            what="/readyz to say so",
            deadline_seconds=30,  # a look takes 3 s, and the driver up to 10 s more to give it up
        )
        began = time.monotonic()
        answer = api.get(f"{route}during")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
        assert answer.body["detail"] == "the database does not answer"
        assert time.monotonic() - began < AT_ONCE_SECONDS
        assert api.get(snapshot(world)).status == 200
    finally:
        postgres.thaw()
    wait_until(api.ready, what="the api to be ready again", deadline_seconds=20)
    registered = wait_until(
        lambda: told if (told := api.get(f"{route}during")).status == 200 else None,
        what="the route to be answered again",
        deadline_seconds=30,
    )
    assert registered.body["registered"] is True


def test_the_api_server_away_and_back(live_api: tuple[Api, LiveDoer], crds: Stack) -> None:
    api, world = live_api
    world.renew_lease(create=True)
    wait_until(
        lambda: api.get(snapshot(world)).body["ttlSeconds"],
        what="the Lease to be seen",
        deadline_seconds=10,
    )
    crds.plane.apiserver.kill()
    try:
        first = api.get(snapshot(world)).body
        second = wait_until(
            lambda: (
                told
                if (told := api.get(snapshot(world)).body)["ttlSeconds"] < first["ttlSeconds"]
                else None
            ),
            what="the time to live to fall",
            deadline_seconds=5,
        )
        assert second["shares"] == first["shares"]
    finally:
        crds.plane.apiserver.start()
        crds.plane.wait_api_ready()
    world.traffic(revision=3, percent=0)
    wait_until(
        lambda: api.get(snapshot(world)).body["revision"] == 3,
        what="the change to be seen",
        deadline_seconds=30,
    )


def test_sigterm_ends_long_polls_at_once(live_api: tuple[Api, LiveDoer]) -> None:
    api, world = live_api
    etag = api.get(snapshot(world)).body["etag"]
    with ThreadPoolExecutor() as pool:
        asked = {"If-None-Match": f'"{etag}"'}
        poll = pool.submit(lambda: api.get(snapshot(world, wait=50), headers=asked))
        wait_until(
            lambda: poll.running() and api.get("/livez").status == 200,
            what="the poll to be under way",
            deadline_seconds=5,
        )
        asked_at = time.monotonic()
        api.process.signal(signal.SIGTERM)
        assert poll.result(timeout=10).status == 304
        assert api.process.wait(timeout_seconds=15) == 0
    assert time.monotonic() - asked_at < 10

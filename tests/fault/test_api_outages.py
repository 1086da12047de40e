"""What the api depends on goes away and comes back; the api is told to stop."""

import http.client
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg

from testbed.postgres import Postgres
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.server.conftest import TOKEN, Answer, Api
from tests.live_doer import LiveDoer

SDK_WAITS_SECONDS = 10.0
AT_ONCE_SECONDS = 2.0  # a deadline of 8 s and a flush of 20 s are not waited for
ASKERS = 5  # of whom the middle one is looked at: a pause of this machine tells nothing of the api


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
    wait_until(lambda: not api.ready(), what="/readyz to say so", deadline_seconds=60)
    told = api.get("/readyz", token=None).body["components"]
    assert told["postgres"] == "the database does not answer"
    postgres.start()
    wait_until(api.ready, what="the api to be ready again", deadline_seconds=60)
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
    wait_until(lambda: not api.ready(), what="/readyz to say so", deadline_seconds=60)
    told = api.get("/readyz", token=None).body["components"]["postgres"]
    assert told.startswith("the database takes no writes")
    assert api.get("/health", token=None).body["status"] == "down"
    read_only(postgres, "RESET default_transaction_read_only")
    wait_until(api.ready, what="the api to be ready again", deadline_seconds=60)
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
        deadline_seconds=60,
    )


def postgres_is_read_only(postgres: Postgres) -> bool:
    with psycopg.connect(postgres.url()) as connection:
        row = connection.execute("SHOW transaction_read_only").fetchone()
    return row == ("on",)


def ask(api: Api, path: str) -> tuple[list[Answer], float]:
    """What several are answered that ask side by side, and in how long the middle one."""

    def one(_: int) -> tuple[Answer, float]:
        began = time.monotonic()
        answer = api.get(path)
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(ASKERS) as pool:
        answers, seconds = zip(*pool.map(one, range(ASKERS)), strict=True)
    return list(answers), statistics.median(seconds)


def test_a_frozen_postgres_holds_no_route_up(
    live_api: tuple[Api, LiveDoer], postgres: Postgres
) -> None:
    api, world = live_api
    route = f"/v1/route?namespace={world.namespace}&doer=planner&runId="
    assert api.get(f"{route}before").body["registered"] is True
    postgres.freeze()
    try:
        answers, seconds = ask(api, f"{route}during")
        for answer in answers:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
        assert seconds < SDK_WAITS_SECONDS
        wait_until(
            lambda: (
                api.get("/readyz", token=None).body["components"]["postgres"]
                == "the database does not answer"
            ),
            what="/readyz to say so",
            deadline_seconds=60,  # a look takes 3 s, and the driver up to 10 s more to give it up
        )
        answers, seconds = ask(api, f"{route}during")
        for answer in answers:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
            assert answer.body["detail"] == "the database does not answer"
        assert seconds < AT_ONCE_SECONDS
        assert api.get(snapshot(world)).status == 200
    finally:
        postgres.thaw()
    wait_until(api.ready, what="the api to be ready again", deadline_seconds=60)
    registered = wait_until(
        lambda: told if (told := api.get(f"{route}during")).status == 200 else None,
        what="the route to be answered again",
        deadline_seconds=60,
    )
    assert registered.body["registered"] is True


def test_the_api_server_away_and_back(live_api: tuple[Api, LiveDoer], crds: Stack) -> None:
    api, world = live_api
    world.renew_lease(create=True)
    wait_until(
        lambda: api.get(snapshot(world)).body["ttlSeconds"],
        what="the Lease to be seen",
        deadline_seconds=60,
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
            deadline_seconds=60,
        )
        assert second["shares"] == first["shares"]
    finally:
        crds.plane.apiserver.start()
        crds.plane.wait_api_ready()
    world.traffic(revision=3, percent=0)
    wait_until(
        lambda: api.get(snapshot(world)).body["revision"] == 3,
        what="the change to be seen",
        deadline_seconds=60,
    )


@contextmanager
def polling(api: Api, path: str, *, etag: str) -> Iterator[http.client.HTTPConnection]:
    """A poll that the api has: on a connection that it knows, and what was asked later on another
    one is answered."""
    where = urlsplit(api.url)
    with closing(http.client.HTTPConnection(where.netloc, timeout=60)) as connection:
        connection.request("GET", "/livez")
        connection.getresponse().read()
        asked = {"If-None-Match": f'"{etag}"', "Authorization": f"Bearer {TOKEN}"}
        connection.request("GET", path, headers=asked)
        assert api.get("/livez").status == 200
        yield connection


def test_sigterm_ends_long_polls_at_once(live_api: tuple[Api, LiveDoer]) -> None:
    api, world = live_api
    etag = api.get(snapshot(world)).body["etag"]
    with polling(api, snapshot(world, wait=50), etag=etag) as poll:
        asked_at = time.monotonic()
        api.process.signal(signal.SIGTERM)
        assert poll.getresponse().status == 304
        assert api.process.wait(timeout_seconds=60) == 0
    assert time.monotonic() - asked_at < 10

"""Clients that send one byte at a time: they are cut off in time and keep nobody else waiting."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from learnops.adapters.postgres.migrate import upgrade
from learnops.server.limits import STALL_SECONDS
from learnops.server.patience import HEAD_SECONDS
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.fault.dribbling import Dribblers
from tests.integration.server.conftest import TOKEN, Api, launch
from tests.live_doer import LiveDoer

MANY = 100
# A machine with other work to do closes, and answers, a little later.
LATE_SECONDS = 10.0
BATCH = 16 * 1024 * 1024
OPEN_FILES = 1024


@pytest.fixture
def served(
    crds: Stack, database: str, namespace: str, tmp_path: Path
) -> Iterator[tuple[Api, LiveDoer]]:
    """An api with the fewest open files that machines usually allow, with a live canary."""
    upgrade(database)
    world = LiveDoer(kube=crds.plane.api, namespace=namespace, database=database)
    world.setup()
    log = tmp_path / "api.log"
    api = launch(url=database, kubeconfig=crds.plane.kubeconfig, namespace=namespace, log=log)
    few = ["bash", "-c", f'ulimit -n {OPEN_FILES} && exec "$@"', "bash"]
    api.process.command = [*few, *api.process.command]
    api.start()
    yield api, world
    api.process.stop()
    assert "Traceback" not in log.read_text()


def post(path: str, *, token: str = TOKEN, **headers: str) -> bytes:
    """A request's head."""
    lines = [f"POST {path} HTTP/1.1", "Host: api", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def report(api: Api, world: LiveDoer, run: str) -> None:
    """A run that is stored in good time, whoever else is there."""
    began = time.monotonic()
    answer = api.post("/v1/runs", world.bundle(run))
    assert answer.status == 201, answer.body
    assert api.get("/livez", token=None).status == 200
    assert time.monotonic() - began < LATE_SECONDS / 2


def test_who_dribbles_is_cut_off_and_starves_nobody(served: tuple[Api, LiveDoer]) -> None:
    api, world = served
    began = post("/v1/runs:batch", Content_Length=str(BATCH)) + b'{"runs": ["'
    with Dribblers(api.url) as dribblers:
        heads = dribblers.open(MANY, saying=b"POST /v1/runs:batch HTTP/1.1\r\nHost: api\r\nX: ")
        bodies = dribblers.open(MANY, saying=began)
        refused = dribblers.open(
            MANY, saying=post("/v1/runs", token="unknown", Content_Length="1000000") + b"{"
        )
        left = 0
        for number in itertools.count():
            report(api, world, f"meanwhile-{number}")
            left = sum(one.left_after is None for one in dribblers.all)
            if left == 0:
                break
            # 1.6 GiB are announced by those who dribble a body: they hold what they have sent.
            inside = api.series("learnops_waiting_items", queue="bodyBytes")
            assert inside is not None
            assert inside < 100 * MANY
            assert time.monotonic() - dribblers.all[-1].opened < 3 * LATE_SECONDS, left
    assert {one.status for one in heads} == {0}
    assert {one.status for one in bodies} == {408}
    assert b"less than 16384 bytes of the body arrived in 10 s" in bodies[0].told
    assert {one.status for one in refused} == {401}
    for kind, bound in ((heads, HEAD_SECONDS), (bodies, STALL_SECONDS), (refused, HEAD_SECONDS)):
        slowest = max(one.left_after or 0 for one in kind)
        assert bound <= slowest < bound + LATE_SECONDS


def test_more_of_them_than_there_are_connections_make_room_for_others(
    served: tuple[Api, LiveDoer],
) -> None:
    api, world = served
    with Dribblers(api.url) as dribblers:
        report(api, world, "before")
        for number in range(8):
            dribblers.open(MANY, saying=b"GET /livez HTTP/1.1\r\nX: ")
            report(api, world, f"with-{number}")
        wait_until(
            lambda: all(one.left_after is not None for one in dribblers.all),
            what="everybody who dribbles to be cut off",
            deadline_seconds=3 * LATE_SECONDS,
        )
        report(api, world, "after")
    early = sum((one.left_after or 0) < HEAD_SECONDS for one in dribblers.all)
    assert early >= 8 * MANY - OPEN_FILES // 2

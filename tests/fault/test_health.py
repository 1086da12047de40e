"""`/health` while what the api depends on is gone: as quick as ever, and it names the part."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from learnops.adapters.postgres.migrate import upgrade
from learnops.adapters.postgres.schema import HEAD
from testbed.postgres import Postgres
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api, launch
from tests.live_doer import LiveDoer

ASKED = 20
MOST_SECONDS = 0.1  # the promise; of the middle one, as this machine has other things to do


@pytest.fixture
def api(crds: Stack, postgres: Postgres, namespace: str, tmp_path: Path) -> Iterator[Api]:
    """An api on that server that asks Kubernetes about tokens and has seen a heartbeat."""
    url = postgres.create_database()
    upgrade(url)
    world = LiveDoer(kube=crds.plane.api, namespace=namespace, database=url)
    world.renew_lease(create=True)
    running = launch(
        url=url,
        kubeconfig=crds.plane.kubeconfig,
        namespace=namespace,
        log=tmp_path / "api.log",
        token=None,
    )
    running.start()
    yield running
    running.process.stop()


def health(api: Api) -> tuple[int, Any]:
    answer = api.get("/health", token=None)
    return answer.status, answer.body


def part(api: Api, name: str) -> Any:
    return health(api)[1]["components"][name]


def middle_seconds(api: Api) -> float:
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        health(api)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[ASKED // 2]


def test_postgres_killed_and_back(api: Api, postgres: Postgres) -> None:
    wait_until(lambda: health(api)[1]["status"] == "ok", what="all well", deadline_seconds=60)
    status, told = health(api)
    assert status == 200
    database = told["components"]["database"]
    assert (database["schemaRevision"], database["reason"]) == (HEAD, None)
    assert middle_seconds(api) < MOST_SECONDS
    postgres.kill()
    wait_until(lambda: health(api)[0] == 503, what="503", deadline_seconds=60)
    assert middle_seconds(api) < MOST_SECONDS
    told = health(api)[1]
    assert told["status"] == "down"
    assert told["components"]["database"]["reason"] == "the database does not answer"
    assert "learnops_database_up 0.0" in str(api.get("/metrics", token=None).body)
    postgres.start()
    wait_until(lambda: health(api)[0] == 200, what="200 again", deadline_seconds=60)


def test_the_api_server_killed_and_back(api: Api, crds: Stack, namespace: str) -> None:
    assert part(api, "access") == {
        "status": "ok",
        "by": "Kubernetes",
        "lastReviewAgeSeconds": None,
    }
    path = f"/v1/snapshot?namespace={namespace}&doer=planner"
    assert api.get(path, token="nobody's").status == 401
    assert part(api, "access")["lastReviewAgeSeconds"] >= 0
    before = part(api, "kubernetes")["snapshotAgeSeconds"]
    crds.plane.apiserver.kill()
    try:
        assert api.get(path, token="somebody's").status == 503
        told = health(api)
        assert told[0] == 200
        assert (told[1]["status"], told[1]["components"]["access"]["status"]) == ("degraded",) * 2
        wait_until(
            lambda: part(api, "kubernetes")["snapshotAgeSeconds"] > before,
            what="the snapshot to age",
            deadline_seconds=60,
        )
        assert middle_seconds(api) < MOST_SECONDS
    finally:
        crds.plane.apiserver.start()
        crds.plane.wait_api_ready()
    wait_until(
        lambda: (
            api.get(path, token="nobody's again").status == 401
            and part(api, "access")["status"] == "ok"
        ),
        what="reviews to work again",
        deadline_seconds=60,
    )

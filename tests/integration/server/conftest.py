"""The api as a process, between the real API server and a real Postgres."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3

from testbed.ports import free_port
from testbed.process import ManagedProcess
from testbed.service import service_process, url_of
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.databases import database, migrated_database
from tests.live_doer import LiveDoer

__all__ = ["database"]
TOKEN = "a-token-for-these-tests-alone"


@dataclass
class Answer:
    """A response, its body parsed where it is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Api:
    """One api process and a client of it."""

    process: ManagedProcess
    url: str
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=40, timeout=30)
    )

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
    ) -> Answer:
        """One request, tried once."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        data = raw if body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        got = self.pool.request(method, f"{self.url}{path}", body=data, headers=sent)
        kind = got.headers.get("Content-Type", "")
        parsed = json.loads(got.data) if "json" in kind and got.data else got.data.decode()
        return Answer(status=got.status, body=parsed, headers=got.headers)

    def get(self, path: str, **rest: Any) -> Answer:
        """GET."""
        return self.call("GET", path, **rest)

    def post(self, path: str, body: object, **rest: Any) -> Answer:
        """POST as JSON."""
        return self.call("POST", path, body=body, **rest)

    def start(self) -> None:
        """Start it and wait until every part is ready."""
        self.process.start()
        self.process.wait_ready(self.ready, deadline_seconds=60)

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            return self.get("/readyz", token=None).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def series(self, name: str, **labels: str) -> float | None:
        """The value of one series of /metrics."""
        for line in str(self.get("/metrics", token=None).body).splitlines():
            if not line.startswith(f"{name}{{"):
                continue
            if all(f'{label}="{value}"' in line for label, value in labels.items()):
                return float(line.rpartition(" ")[2])
        return None


def launch(
    *,
    url: str,
    kubeconfig: Path,
    namespace: str,
    log: Path,
    flags: tuple[str, ...] = (),
    token: str | None = TOKEN,
) -> Api:
    """An api that is not started yet; its Lease is `operator` in the namespace.

    Without a token of its own it asks Kubernetes about tokens.
    """
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LEARNOPS")
    }
    process = service_process(
        "api",
        *("--kubeconfig", str(kubeconfig), "--namespace", namespace),
        *("--lease-namespace", namespace, "--lease-name", "operator", *flags),
        port=port,
        log=log,
        environment=environment
        | {"LEARNOPS_DATABASE_URL": url}
        | ({} if token is None else {"LEARNOPS_DEV_TOKEN": token}),
        name="learnops-api",
        forked=True,
    )
    return Api(process=process, url=url_of(port))


@pytest.fixture
def api(crds: Stack, database: str, namespace: str, tmp_path: Path) -> Iterator[Api]:
    """A running api on the test's own namespace and database."""
    running = launch(
        url=database,
        kubeconfig=crds.plane.kubeconfig,
        namespace=namespace,
        log=tmp_path / f"api-{secrets.token_hex(2)}.log",
    )
    running.start()
    yield running
    running.process.stop()


@pytest.fixture
def world(api: Api, crds: Stack, database: str, namespace: str) -> LiveDoer:
    """A doer with a live canary at 50 %, seen by the api."""
    made = LiveDoer(kube=crds.plane.api, namespace=namespace, database=database)
    made.setup()
    wait_until(
        lambda: api.get(f"/v1/snapshot?namespace={namespace}&doer=planner").status == 200,
        what="the api to see the doer",
        deadline_seconds=30,
    )
    return made


@dataclass(frozen=True, kw_only=True)
class Served:
    """An api for all tests of a file, which change nothing of the doer."""

    api: Api
    world: LiveDoer
    log: Path


@pytest.fixture(scope="module")
def served(crds: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running api with the doer `planner`; in the end its log tells of no bug."""
    namespace = crds.namespace()
    database = migrated_database(crds.postgres)
    log = tmp_path_factory.mktemp("served") / "api.log"
    api = launch(url=database, kubeconfig=crds.plane.kubeconfig, namespace=namespace, log=log)
    api.start()
    made = LiveDoer(kube=crds.plane.api, namespace=namespace, database=database)
    made.setup()
    wait_until(
        lambda: api.get(f"/v1/snapshot?namespace={namespace}&doer=planner").status == 200,
        what="the api to see the doer",
        deadline_seconds=30,
    )
    yield Served(api=api, world=made, log=log)
    api.process.stop()
    told = log.read_text()
    assert "bug in" not in told
    assert "Traceback" not in told
    crds.plane.delete_namespace(namespace)

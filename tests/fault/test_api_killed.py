"""The api killed with SIGKILL under load: nothing acknowledged is lost, nothing counts twice."""

import random
import threading
from pathlib import Path

import psycopg
import urllib3

from testbed.exposition import total
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.integration.server.conftest import Api, launch
from tests.live_doer import LiveDoer

KILLS = 20
SEED = 2026
WORKERS = 4
# One of so many is under way when the process is killed; those of the other workers as well.
FURTHEST_REQUEST = 40


class Agents:
    """Register and report runs until told to stop; repeat whatever was not acknowledged."""

    def __init__(self, api: Api, world: LiveDoer) -> None:
        self._api = api
        self._world = world
        self._stop = threading.Event()
        self.registered: set[str] = set()
        self.stored: set[str] = set()
        self.lock = threading.Lock()
        self._begun = 0
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(WORKERS)
        ]

    def __enter__(self) -> "Agents":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> int:
        with self.lock:
            return len(self.stored)

    def begun(self) -> int:
        """How many requests were about to be sent, answered or not."""
        with self.lock:
            return self._begun

    def _work(self, worker: int) -> None:
        turn = 0
        while not self._stop.is_set():
            runs = [f"{worker}-{turn}-{item}" for item in range(5)]
            if self._register(runs) and self._report(runs):
                turn += 1

    def _register(self, runs: list[str]) -> bool:
        body = {"namespace": self._world.namespace, "doer": "planner"}
        answer = self._post("/v1/assignments", body | {"runs": [{"runId": run} for run in runs]})
        if answer is None:
            return False
        with self.lock:
            self.registered |= {
                each["runId"] for each in answer["assignments"] if each["registered"]
            }
        return True

    def _report(self, runs: list[str]) -> bool:
        bundles = [self._world.bundle(run) for run in runs]
        answer = self._post("/v1/runs:batch", {"runs": bundles})
        if answer is None:
            return False
        statuses = {result["status"] for result in answer["results"]}
        assert statuses <= {"accepted", "duplicate"}
        with self.lock:
            self.stored |= set(runs)
        return True

    def _post(self, path: str, body: object) -> dict[str, list[dict[str, str]]] | None:
        with self.lock:
            self._begun += 1
        try:
            answer = self._api.post(path, body)
        except urllib3.exceptions.HTTPError:
            self._stop.wait(0.05)  # nobody is there; asked again at once it would only spin
            return None
        if answer.status != 200:
            assert answer.status in (404, 503), answer.body
            self._stop.wait(0.05)
            return None
        told: dict[str, list[dict[str, str]]] = answer.body
        return told


def test_killed_twenty_times_under_load(
    crds: Stack, database: str, namespace: str, tmp_path: Path
) -> None:
    api = launch(
        url=database,
        kubeconfig=crds.plane.kubeconfig,
        namespace=namespace,
        log=tmp_path / "api.log",
    )
    world = LiveDoer(kube=crds.plane.api, namespace=namespace, database=database)
    world.setup()
    api.start()
    try:
        with Agents(api, world) as agents:
            counted, moments = 0.0, random.Random(SEED)
            for _ in range(KILLS):
                before = agents.acknowledged()
                wait_until(
                    lambda before=before: agents.acknowledged() > before + 20,
                    what="runs to be acknowledged",
                    deadline_seconds=60,
                )
                counted += _counted(api)
                # Not at the end of an answer, but while one of the next requests is under way.
                chosen = agents.begun() + moments.randint(1, FURTHEST_REQUEST)
                wait_until(
                    lambda chosen=chosen: agents.begun() >= chosen,
                    what="the request that is cut off",
                    deadline_seconds=60,
                    interval_seconds=0.002,
                )
                api.process.kill()
                api.start()
            before = agents.acknowledged()
            wait_until(
                lambda: agents.acknowledged() > before + 50,
                what="runs after the last start",
                deadline_seconds=60,
            )
        _check_log(database, agents)
        _check_counters(api, database, before_kills=counted)
    finally:
        api.process.stop()


def _check_log(database: str, agents: Agents) -> None:
    with psycopg.connect(database) as connection:
        routings = connection.execute(
            "SELECT seq, run_id, resolution FROM deployment_routings ORDER BY seq"
        ).fetchall()
        runs = connection.execute("SELECT run_id FROM runs").fetchall()
        losses = connection.execute("SELECT run_id FROM crl_results").fetchall()
        progress = connection.execute("SELECT count(*) FROM learning_progress").fetchone()
    assert [seq for seq, _run, _how in routings] == list(range(1, len(routings) + 1))
    assert agents.registered <= {run for _seq, run, _how in routings}
    assert agents.stored <= {run for (run,) in runs}
    assert sorted(runs) == sorted(losses)  # each scored once
    assert progress == (len(runs),)
    resolved = {run for _seq, run, how in routings if how == "Bundle"}
    assert agents.stored & agents.registered <= resolved


def _check_counters(api: Api, database: str, *, before_kills: float) -> None:
    """No run was counted by two lives of the process; the last life counted all of its own."""

    def prefix() -> tuple[int, int]:
        with psycopg.connect(database) as connection:
            row = connection.execute(
                "SELECT prefix_seq, coalesce((SELECT min(seq) FROM deployment_routings"
                " WHERE resolved_at IS NULL), next_seq) - 1"
                " FROM rollout_prefixes JOIN shadow_deployments ON id = rollout"
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    wait_until(
        lambda: prefix()[0] == prefix()[1],
        what="the prefix to reach the first open run",
        deadline_seconds=60,
    )
    assert 0 < before_kills + _counted(api) <= prefix()[0]


def _counted(api: Api) -> float:
    return total(str(api.get("/metrics", token=None).body), "learnops_evidence_runs_total")

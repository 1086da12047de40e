"""Runs through the api, as agents make them: assigned, then reported."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import urllib3

from testbed.errors import TestbedError
from testbed.waiting import wait_until

Json = dict[str, Any]


@dataclass(kw_only=True)
class Runs:
    """Agents of one namespace. `prefix` keeps run ids apart."""

    url: str
    token: str
    namespace: str
    prefix: str = "r"
    _count: int = 0
    _pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, maxsize=4, timeout=30)
    )

    def assign(self, doer: str, *, count: int) -> list[Json]:
        """New runs and what holds for each, in order; raises TestbedError."""
        numbers = range(self._count, self._count + count)
        self._count += count
        body = {
            "namespace": self.namespace,
            "doer": doer,
            "runs": [{"runId": f"{self.prefix}-{doer}-{number}"} for number in numbers],
        }
        found: list[Json] = self.post("/v1/assignments", body)["assignments"]
        return found

    def registered(self, doer: str, *, count: int) -> list[Json]:
        """The same, once the api has seen the canary: all of them are evidence."""

        def tried() -> list[Json] | None:
            found = self.assign(doer, count=count)
            return found if all(one["registered"] for one in found) else None

        return wait_until(
            tried, what=f"the api to see {doer}'s canary", deadline_seconds=30, interval_seconds=0.1
        )

    def bundle(self, doer: str, assignment: Json, *, loss: float) -> Json:
        """What the agent reports."""
        told = {key: assignment[key] for key in ("runId", "policy", "arm", "propensity")}
        metrics = {"metrics": {"grounding": 1.0 - loss}}
        return {"namespace": self.namespace, "doer": doer, **told, **metrics}

    def report(self, bundles: Sequence[Json]) -> None:
        """Report runs; raises TestbedError unless all were accepted."""
        results = self.post("/v1/runs:batch", {"runs": list(bundles)})["results"]
        refused = [one for one in results if one["status"] != "accepted"]
        if refused:
            raise TestbedError(f"the api refused a run: {refused[0]}")

    def post(self, path: str, body: Mapping[str, object]) -> Json:
        """A POST; raises TestbedError."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        answer = self._pool.request(
            "POST", self.url + path, body=json.dumps(body).encode(), headers=headers
        )
        if answer.status >= 300:
            raise TestbedError(f"POST {path}: {answer.status} {answer.data[:300]!r}")
        parsed: Json = answer.json()
        return parsed


class Feeder:
    """A thread: about one run a second for each of the doers, with the same loss in both arms."""

    def __init__(self, runs: Runs, doers: Sequence[str]) -> None:
        self._runs = runs
        self._doers = doers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="feeder", daemon=True)
        self._failure: TestbedError | urllib3.exceptions.HTTPError | None = None

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self._round()
                self._stopping.wait(max(0.0, 1.0 - (time.monotonic() - began)))
        except (TestbedError, urllib3.exceptions.HTTPError) as error:
            self._failure = error  # told by whoever leaves the context

    def _round(self) -> None:
        bundles = [
            self._runs.bundle(doer, one, loss=0.3)
            for doer in self._doers
            for one in self._runs.assign(doer, count=1)
        ]
        self._runs.report(bundles)

    def __enter__(self) -> "Feeder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=30)
        if self._failure is not None:
            raise TestbedError(f"the runs of the crowd ended early: {self._failure}")

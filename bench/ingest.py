"""Reported runs: many in a request, and one in a request."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

from bench.figure import Figure, median, p99
from bench.load import Load, Target, closed_loop, open_loop
from bench.objects import Objects
from bench.rig import Rig
from testbed.waiting import wait_until

BATCH_RUNS = 500
BATCH_SECONDS = 60.0
CONNECTIONS = 4
POST_RATE = 200.0
POST_SECONDS = 15.0
_WARM_SECONDS = 3.0
_BESIDE_RATE = 50.0
_BESIDE_SECONDS = 10.0
_DOER = "reporter"


def batch(rig: Rig) -> list[Figure]:
    """As NDJSON of 500 runs a request, about 1 KB a run."""
    reported = report_batches(rig, seconds=BATCH_SECONDS)
    runs = max(len(reported.load.seconds) * BATCH_RUNS, 1)
    return [
        Figure(
            name=f"runs:batch, {CONNECTIONS} connections of {BATCH_RUNS} runs, sustained",
            value=reported.rate,
            unit="runs/s",
            at_least=3000,
            note=f"{reported.load.elapsed:.0f} s, {reported.bundle_bytes} bytes a run, "
            f"{reported.load.failed} refused",
        ),
        Figure(
            name="processor time of the api a run",
            value=reported.api_seconds / runs * 1e6,
            unit="us",
            note="it has one core at most: a second divided by this is its limit",
        ),
        Figure(
            name="processor time of Postgres a run",
            value=reported.postgres_seconds / runs * 1e6,
            unit="us",
        ),
        Figure(
            name="memory of the api at that load",
            value=rig.api.resident_mebibytes(),
            unit="MiB",
            at_most=300,
        ),
        Figure(
            name="memory of Postgres at that load",
            value=rig.postgres_mebibytes(),
            unit="MiB",
            note="what its processes share counted once",
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class Reported:
    """Batches that were reported, and the processor time that it took."""

    load: Load
    bundle_bytes: int
    api_seconds: float
    postgres_seconds: float

    @property
    def rate(self) -> float:
        """Runs a second."""
        return self.load.rate * BATCH_RUNS


def report_batches(rig: Rig, *, seconds: float) -> Reported:
    """Report batches in a closed loop for so many seconds, after a warm-up."""
    bundle = _Bundle(_ready_doer(rig).namespace)
    target = Target.of(rig.api.url, token=rig.token)

    def payload(number: int) -> bytes:
        lines = b"".join(bundle.line(f"b{number}-{one}") for one in range(BATCH_RUNS))
        return target.request("POST", "/v1/runs:batch", body=lines, kind="application/x-ndjson")

    warm = lambda number: payload(10**6 + number)  # noqa: E731 - other ids, the same shape
    closed_loop(target, warm, connections=CONNECTIONS, seconds=_WARM_SECONDS)
    api, postgres = rig.api.cpu_seconds(), rig.postgres_seconds()
    load = closed_loop(target, payload, connections=CONNECTIONS, seconds=seconds)
    return Reported(
        load=load,
        bundle_bytes=bundle.size,
        api_seconds=rig.api.cpu_seconds() - api,
        postgres_seconds=rig.postgres_seconds() - postgres,
    )


def single(rig: Rig) -> list[Figure]:
    """200 requests a second, each on time whatever became of the others."""
    bundle = _Bundle(_ready_doer(rig).namespace)
    target = Target.of(rig.api.url, token=rig.token)

    def payload(number: int) -> bytes:
        return target.request("POST", "/v1/runs", body=bundle.line(f"p{number}"))

    before = rig.api.cpu_seconds()
    load = open_loop(target, payload, rate=POST_RATE, seconds=POST_SECONDS)
    used = rig.api.cpu_seconds() - before
    name = f"POST /v1/runs at {POST_RATE:.0f}/s"
    return [*_latency(name, load, wanted_p99=25), per_request(name, load, cpu_seconds=used)]


def beside_large(rig: Rig) -> list[Figure]:
    """Single runs while another namespace sends bundles of a mebibyte of numbers."""
    bundle = _Bundle(_ready_doer(rig).namespace)
    others = _Bundle(_ready_doer(rig, "flood").namespace)
    target = Target.of(rig.api.url, token=rig.token)

    def large(number: int) -> bytes:
        return target.request("POST", "/v1/runs", body=others.large(f"l{number}"))

    def payload(number: int) -> bytes:
        return target.request("POST", "/v1/runs", body=bundle.line(f"s{number}"))

    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(
            closed_loop, target, large, connections=CONNECTIONS, seconds=_BESIDE_SECONDS
        )
        load = open_loop(target, payload, rate=_BESIDE_RATE, seconds=_BESIDE_SECONDS)
        stored = len(flood.result().seconds)
    name = f"POST /v1/runs at {_BESIDE_RATE:.0f}/s beside another's bundles of 1 MiB of numbers"
    return [
        *_latency(name, load),
        Figure(name="of those bundles stored meanwhile", value=stored, unit=""),
    ]


def per_request(name: str, load: Load, *, cpu_seconds: float) -> Figure:
    """The api's processor time for one of these requests."""
    value = cpu_seconds / max(len(load.seconds), 1) * 1e6
    return Figure(name=f"{name}, processor time of the api each", value=value, unit="us")


def _latency(name: str, load: Load, *, wanted_p99: float | None = None) -> list[Figure]:
    refused = Figure(name=f"{name}, refused", value=load.failed, unit="", at_most=0)
    return [median(name, load.seconds), p99(name, load.seconds, wanted=wanted_p99), refused]


def _ready_doer(rig: Rig, namespace: str = "ingest") -> Objects:
    """A doer that the api knows; no operator is needed to report a run."""
    objects = rig.objects(namespace)
    objects.doer(_DOER)
    bundle = _Bundle(objects.namespace)
    headers = {"Authorization": f"Bearer {rig.token}", "Content-Type": "application/json"}

    def known() -> bool:
        answer = urllib3.request(
            "POST", f"{rig.api.url}/v1/runs", body=bundle.line("first"), headers=headers
        )
        return answer.status in (200, 201)

    wait_until(known, what="the api to see the doer", deadline_seconds=15)
    return objects


class _Bundle:
    """A typical bundle: all terms, gates, costs, artifacts; only the run id differs."""

    def __init__(self, namespace: str) -> None:
        told = {
            "namespace": namespace,
            "doer": _DOER,
            "runId": "?",
            "policy": f"{_DOER}-v1",
            "tenant": "acme",
            "durationMilliseconds": 8120,
            "metrics": {
                "grounding": 0.93,
                "contradictions": 1,
                "latencyP95Milliseconds": 7400,
                "securityCriticals": 0,
                "apiBreakages": 0,
                "dbMigrationFail": False,
                "ragCoverage": 0.88,
            },
            "gates": [{"name": f"gate-{n}", "passed": n != 3} for n in range(6)],
            "qav": {"verdict": "accepted", "score": 0.91, "reviewer": "judge-small"},
            "costs": {"costUSD": 0.021, "inputTokens": 3120, "outputTokens": 840},
            "budget": {"maxCostUSD": 0.05, "maxDurationMilliseconds": 20000},
            "artifacts": [{"kind": "patch", "uri": f"s3://runs/{n}/patch.diff"} for n in range(6)],
        }
        before, after = json.dumps(told, separators=(",", ":")).split('"?"')
        self._told = told
        self._before, self._after = before.encode() + b'"', b'"' + after.encode() + b"\n"
        self.size = len(self._before) + len(self._after)

    def line(self, run_id: str) -> bytes:
        """The bundle of one run, with a line end."""
        return self._before + run_id.encode() + self._after

    def large(self, run_id: str) -> bytes:
        """The same with a mebibyte of numbers, each of which must be taken out."""
        artifacts = [{"log": "536-90-4399, " * 5000}] * 15
        return json.dumps(self._told | {"runId": run_id, "artifacts": artifacts}).encode()

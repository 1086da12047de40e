"""The same nine metrics a run, through our api and through MLflow's tracking server, in turn."""

import json
import time

import urllib3

from bench.figure import Figure
from bench.ingest import BATCH_RUNS, report_batches
from bench.load import Ask, Load, Target, closed_scripts
from bench.mlflow_server import mlflow_server, resident_mebibytes
from bench.rig import Rig, tree_seconds

SECONDS = 30.0
_WARM_SECONDS = 5.0
CONNECTIONS = 8  # more made it no quicker: it has four workers
_API = "/api/2.0/mlflow"
_METRICS = {
    "gatePassRate": 0.83,
    "contradictions": 1.0,
    "grounding": 0.93,
    "costUSD": 0.021,
    "latencyP95Milliseconds": 7400.0,
    "securityCriticals": 0.0,
    "apiBreakages": 0.0,
    "dbMigrationFail": 0.0,
    "ragCoverage": 0.88,
}


def run(rig: Rig) -> list[Figure]:
    """Each has the machine and the same Postgres to itself while it is measured.

    MLflow's requests are made as ready bytes too, without its client library, which would cost
    more. It gets what it needs at least: a run is created and its metrics are logged at once, with
    no parameters, tags or end. Ours are redacted, scored, counted and answered as well.
    """
    reported = report_batches(rig, seconds=SECONDS)
    ours = reported.rate
    with mlflow_server(rig) as (process, url):
        theirs, used = _measure(url, pid=process.pid)
        memory = resident_mebibytes(process)
    name = f"MLflow, {CONNECTIONS} connections, create and log_batch of {len(_METRICS)} metrics"
    return [
        Figure(name=f"runs:batch of {BATCH_RUNS} runs", value=ours, unit="runs/s"),
        Figure(
            name=name,
            value=theirs.rate,
            unit="runs/s",
            note=f"{theirs.elapsed:.0f} s, {theirs.failed} refused",
        ),
        Figure(
            name="ours as a multiple of it",
            value=ours / theirs.rate if theirs.rate else float("nan"),
            unit="x",
            at_least=10,
        ),
        Figure(
            name="processor time of the api a run",
            value=reported.api_seconds / max(len(reported.load.seconds) * BATCH_RUNS, 1) * 1e3,
            unit="ms",
        ),
        Figure(
            name="processor time of MLflow a run",
            value=used / max(len(theirs.seconds), 1) * 1e3,
            unit="ms",
        ),
        Figure(name="memory of MLflow and its workers", value=memory, unit="MiB"),
    ]


def _measure(url: str, *, pid: int) -> tuple[Load, float]:
    """What it took, and the processor time of the server's processes in seconds."""
    experiment = _experiment(url)
    target = Target.of(url, token="")

    async def script(ask: Ask, _number: int) -> int:
        now = int(time.time() * 1000)
        created = {"experiment_id": experiment, "start_time": now}
        status, body = await ask(_request(target, "runs/create", created))
        if status != 200:
            return status
        metrics = [
            {"key": key, "value": value, "timestamp": now, "step": 0}
            for key, value in _METRICS.items()
        ]
        logged = {"run_id": json.loads(body)["run"]["info"]["run_id"], "metrics": metrics}
        status, _body = await ask(_request(target, "runs/log-batch", logged))
        return status

    closed_scripts(target, script, connections=CONNECTIONS, seconds=_WARM_SECONDS)
    before = tree_seconds(pid)
    load = closed_scripts(target, script, connections=CONNECTIONS, seconds=SECONDS)
    return load, tree_seconds(pid) - before


def _experiment(url: str) -> str:
    answer = urllib3.request(
        "POST", f"{url}{_API}/experiments/create", json={"name": "bench"}, timeout=30
    )
    return str(answer.json()["experiment_id"])


def _request(target: Target, path: str, body: object) -> bytes:
    return target.request("POST", f"{_API}/{path}", body=json.dumps(body).encode())

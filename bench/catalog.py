"""Which benchmarks there are, in the order in which they run."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import (
    decisions,
    demo,
    evidence,
    faults,
    ingest,
    mlflow,
    redaction,
    requests,
    route,
    safety,
    sdk,
    start,
)
from bench.figure import Figure
from bench.rig import Rig


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A name, what it measures, and how."""

    name: str
    title: str
    run: Callable[[Rig], list[Figure]]


BENCHMARKS = (
    Benchmark(name="batch", title="runs a second through runs:batch", run=ingest.batch),
    Benchmark(name="post", title="one run a request, open loop", run=ingest.single),
    Benchmark(name="redaction", title="personal data, and texts made to cost", run=redaction.run),
    Benchmark(name="route", title="GET /v1/route, open loop", run=route.run),
    Benchmark(name="sdk", title="routing and registration in the SDK", run=sdk.run),
    Benchmark(name="safety", title="a bad block resolved → control", run=safety.alone),
    Benchmark(name="faults", title="Prometheus refused, hanging, NaN, empty", run=faults.run),
    Benchmark(name="start", title="start with 500 idle doers, and memory", run=start.run),
    Benchmark(name="requests", title="requests per canary and tick", run=requests.run),
    Benchmark(
        name="crowd", title="the same safety path among 50 live and 500 idle", run=safety.in_crowd
    ),
    Benchmark(name="evidence", title="reading evidence of a long log", run=evidence.run),
    Benchmark(name="decisions", title="the evidence engine", run=decisions.run),
    Benchmark(name="mlflow", title="beside MLflow's tracking server", run=mlflow.run),
    Benchmark(name="demo", title="make demo, warm", run=demo.run),
)

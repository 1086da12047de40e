"""The Metrics port on a real Prometheus that scrapes a real exporter."""

import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from learnops.adapters.prometheus import PrometheusMetrics
from learnops.domain.outcome import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError
from testbed.binaries import ensure
from testbed.ports import LOOPBACK
from testbed.prometheus import Prometheus
from testbed.workdir import WorkDir

FIGURES = ("runs", "loss_sum", "loss_sumsq")


class Exporter:
    """Exposes whatever a test writes into `text`."""

    def __init__(self) -> None:
        self.text = ""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """No access log."""

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module", autouse=True)
def binaries() -> None:
    """Built before the first test's time limit runs."""
    ensure()


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    """A server of each test: samples with a timestamp of their own outlive their job."""
    with WorkDir() as work:
        server = Prometheus(work, scrape_interval_seconds=0.2).start()
        yield server
        server.kill()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    serving = Exporter()
    yield serving
    serving.close()


def exposition(
    *,
    doer: str = "coder",
    arm: str = "candidate",
    epoch: str = "3",
    process: str = "a1",
    **figures: object,
) -> str:
    names = {"namespace": "agents", "doer": doer, "policy": f"{doer}-v2", "arm": arm}
    names |= {"epoch": epoch, "process": process}
    labels = ",".join(f'{name}="{value}"' for name, value in names.items())
    lines = []
    for name, value in {"runs": 40, "loss_sum": 12.5, "loss_sumsq": 5.25, **figures}.items():
        if value is not None:
            lines.append(f"learnops_evidence_{name}_total{{{labels}}} {value}")
    return "\n".join(lines) + "\n"


def scrape(prometheus: Prometheus, exporter: Exporter, text: str) -> None:
    """Have the text scraped once it stands there."""
    exporter.text = text + f"marker {hash(text) % 1000}\n"
    prometheus.scrape("api", [exporter.address])
    prometheus.wait_for(f"marker == {hash(text) % 1000}")


async def ask(prometheus: Prometheus) -> list[CounterSample]:
    async with PrometheusMetrics(url=prometheus.url) as metrics:
        return await metrics.evidence_counters()


async def test_raw_counters_of_each_process_arm_and_epoch(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    text = exposition() + exposition(arm="control", runs=360, loss_sum=100.25, loss_sumsq=40)
    scrape(prometheus, exporter, text + exposition(doer="planner", epoch="12", runs=1e6))
    samples = {(one.doer, one.arm): one for one in await ask(prometheus)}
    assert len(samples) == 3
    one = samples["coder", "candidate"]
    assert (one.process, one.namespace) == ("a1", "agents")
    assert (one.policy, one.epoch) == ("coder-v2", 3)
    assert (one.runs, one.loss_sum, one.loss_sumsq) == (40.0, 12.5, 5.25)
    assert one.problem is None
    assert 0 <= one.age_seconds < 60
    assert samples["coder", "control"].runs == 360.0
    assert samples["planner", "candidate"].epoch == 12


async def test_the_age_is_that_of_the_sample(prometheus: Prometheus, exporter: Exporter) -> None:
    """A sample with a timestamp of its own, as a federating Prometheus passes it on."""
    scrape(prometheus, exporter, "")
    (up,) = prometheus.query("timestamp(up)")
    old_milliseconds = int((up.value - 100) * 1000)
    text = "".join(f"{line} {old_milliseconds}\n" for line in exposition().splitlines())
    scrape(prometheus, exporter, text)
    (sample,) = await ask(prometheus)
    assert 99 <= sample.age_seconds < 160
    assert sample.runs == 40.0


async def test_two_processes_stay_apart(prometheus: Prometheus, exporter: Exporter) -> None:
    other = Exporter()
    try:
        other.text = exposition(process="b2", runs=7, loss_sum=1, loss_sumsq=1)
        exporter.text = exposition()
        prometheus.scrape("api", [exporter.address, other.address])
        prometheus.wait_for("count(learnops_evidence_runs_total) == 2")
        runs = {one.process: one.runs for one in await ask(prometheus)}
        assert runs == {"a1": 40.0, "b2": 7.0}
    finally:
        other.close()


async def test_a_scrape_that_has_a_namespace_of_its_own(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.text = exposition()
    prometheus.scrape(
        "api", [exporter.address], labels={"namespace": "learnops-system", "process": "api"}
    )
    prometheus.wait_for("learnops_evidence_runs_total")
    (sample,) = await ask(prometheus)
    assert sample.namespace == "agents"


PROBLEMS = {
    "NaN": ({"loss_sum": "NaN"}, ErrorReason.NOT_A_NUMBER),
    "infinite": ({"runs": "+Inf"}, ErrorReason.NOT_A_NUMBER),
    "minus infinite": ({"loss_sumsq": "-Inf"}, ErrorReason.NOT_A_NUMBER),
    "a figure missing": ({"loss_sumsq": None}, ErrorReason.INCONSISTENT),
}


@pytest.mark.parametrize("kind", PROBLEMS)
async def test_a_bad_series_harms_its_own_doer_alone(
    prometheus: Prometheus, exporter: Exporter, kind: str
) -> None:
    figures, reason = PROBLEMS[kind]
    text = exposition(doer="good") + exposition(doer="bad", **figures)
    scrape(prometheus, exporter, text)
    samples = {one.doer: one for one in await ask(prometheus)}
    assert (samples["good"].problem, samples["good"].runs) == (None, 40.0)
    bad = samples["bad"]
    assert bad.problem is reason
    assert all(math.isnan(one) for one in (bad.runs, bad.loss_sum, bad.loss_sumsq))


async def test_figures_of_two_scrapes_are_refused(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    scrape(prometheus, exporter, "")
    (up,) = prometheus.query("timestamp(up)")
    *others, last = exposition().splitlines()
    scrape(prometheus, exporter, "\n".join(others) + f"\n{last} {int(up.value - 30) * 1000}\n")
    (sample,) = await ask(prometheus)
    assert sample.problem is ErrorReason.INCONSISTENT


async def test_one_series_twice_is_ambiguous(prometheus: Prometheus, exporter: Exporter) -> None:
    """The same target scraped by two jobs: nobody can tell which of them counts."""
    exporter.text = exposition()
    prometheus.scrape("api", [exporter.address])
    prometheus.scrape("again", [exporter.address])
    prometheus.wait_for("count(learnops_evidence_runs_total) == 2")
    (sample,) = await ask(prometheus)
    assert sample.problem is ErrorReason.AMBIGUOUS_SERIES


async def test_one_process_under_two_addresses_is_ambiguous(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    """A pod and its Service scraped both: counted twice, each run would weigh double."""
    other = Exporter()
    try:
        other.text = exporter.text = exposition()
        prometheus.scrape("api", [exporter.address, other.address])
        prometheus.wait_for("count(learnops_evidence_runs_total) == 2")
        (sample,) = await ask(prometheus)
        assert sample.problem is ErrorReason.AMBIGUOUS_SERIES
    finally:
        other.close()


@pytest.mark.parametrize(
    "text", ["", exposition(process=""), exposition(epoch="soon"), exposition(arm="third")]
)
async def test_nothing_of_ours_is_no_data(
    prometheus: Prometheus, exporter: Exporter, text: str
) -> None:
    scrape(prometheus, exporter, text)
    with pytest.raises(MetricsUnavailableError, match="does it scrape") as caught:
        await ask(prometheus)
    assert caught.value.reason is ErrorReason.NO_DATA


async def test_prometheus_down_and_back(prometheus: Prometheus, exporter: Exporter) -> None:
    scrape(prometheus, exporter, exposition())
    async with PrometheusMetrics(url=prometheus.url) as metrics:
        assert await metrics.evidence_counters()
        prometheus.kill()
        with pytest.raises(MetricsUnavailableError) as caught:
            await metrics.evidence_counters()
        assert caught.value.reason is ErrorReason.PROMETHEUS_UNAVAILABLE
        prometheus.start()
        prometheus.wait_for("learnops_evidence_runs_total")
        assert (await metrics.evidence_counters())[0].runs == 40.0

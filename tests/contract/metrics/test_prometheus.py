"""The Metrics port on a real Prometheus that scrapes a real exporter."""

import math

import pytest

from learnops.adapters.prometheus import PrometheusMetrics
from learnops.domain.unavailable import ErrorReason
from learnops.ports.metrics import CounterSample, MetricsUnavailableError
from testbed.prometheus import Prometheus
from tests.contract.metrics.exporter import Exporter, scrape

_FIGURES = {"runs": 40, "loss_sum": 12.5, "loss_sumsq": 5.25, "timeouts": 2}


def lag(seconds: object, *, doer: str = "coder", process: str = "a1") -> str:
    labels = f'namespace="agents",doer="{doer}",process="{process}"'
    return f"learnops_evidence_prefix_lag_seconds{{{labels}}} {seconds}\n"


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
    for name, value in {**_FIGURES, **figures}.items():
        if value is not None:
            lines.append(f"learnops_evidence_{name}_total{{{labels}}} {value}")
    return "\n".join(lines) + "\n"


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
    assert (one.policy, one.revision) == ("coder-v2", 3)
    assert (one.runs, one.loss_sum, one.loss_sumsq) == (40.0, 12.5, 5.25)
    assert one.problem is None
    assert one.timeouts == 2.0
    assert one.prefix_lag_seconds is None
    assert 0 <= one.age_seconds < 60
    assert samples["coder", "control"].runs == 360.0
    assert samples["planner", "candidate"].revision == 12


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


async def test_the_lag_of_the_prefix_is_the_worst_of_all_processes(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    """Each with the age of its sample; process b2 has counted nothing yet."""
    text = exposition() + lag(0.25) + lag(100.0, process="b2")
    scrape(prometheus, exporter, text + exposition(doer="planner") + lag(0.25, doer="planner"))
    samples = {one.doer: one for one in await ask(prometheus)}
    assert 100.0 <= (samples["coder"].prefix_lag_seconds or 0) < 160.0
    assert 0.25 <= (samples["planner"].prefix_lag_seconds or 0) < 60.0


@pytest.mark.parametrize("told", [lag("NaN"), lag("+Inf"), lag(-1), lag(0.1, process="b2"), ""])
async def test_a_process_that_does_not_tell_its_lag_leaves_it_unknown(
    prometheus: Prometheus, exporter: Exporter, told: str
) -> None:
    scrape(prometheus, exporter, exposition() + told)
    (sample,) = await ask(prometheus)
    assert sample.problem is None
    assert sample.prefix_lag_seconds is None


async def test_an_old_answer_about_the_lag_is_an_old_one(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    scrape(prometheus, exporter, "")
    (up,) = prometheus.query("timestamp(up)")
    gauge = lag(0.5).rstrip("\n")
    scrape(prometheus, exporter, f"{exposition()}{gauge} {int((up.value - 100) * 1000)}\n")
    (sample,) = await ask(prometheus)
    assert 100.0 <= (sample.prefix_lag_seconds or 0) < 160.0


async def test_an_api_that_does_not_count_timeouts_says_nothing_of_them(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    scrape(prometheus, exporter, exposition(timeouts=None))
    (sample,) = await ask(prometheus)
    assert (sample.problem, sample.runs, sample.timeouts) == (None, 40.0, None)


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

"""Queries of guardrails on a real Prometheus."""

import math

import pytest

from learnops.adapters.prometheus import PrometheusMetrics
from learnops.adapters.unconfigured import NoPrometheus
from learnops.domain.unavailable import ErrorReason
from learnops.ports.metrics import MetricsUnavailableError, QuerySample
from testbed.prometheus import Prometheus
from tests.contract.metrics.exporter import Exporter, scrape

LATENCY = 'latency{policy="v1"} 1.5\nlatency{policy="v2"} 3.25\n'


async def ask(
    prometheus: Prometheus, promql: str, *, lookback_seconds: int = 60
) -> list[QuerySample]:
    async with PrometheusMetrics(url=prometheus.url) as metrics:
        return await metrics.query(promql, lookback_seconds=lookback_seconds)


async def test_each_series_with_its_labels_and_the_instant_of_the_question(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    scrape(prometheus, exporter, LATENCY)
    found = await ask(prometheus, "sum by (policy) (latency)")
    assert {it.labels["policy"]: it.value for it in found} == {"v1": 1.5, "v2": 3.25}
    (scraped,) = await ask(prometheus, "timestamp(up)")
    (again,) = await ask(prometheus, "max(latency)")
    assert scraped.value <= scraped.at.timestamp() <= again.at.timestamp()


async def test_no_series_is_an_answer(prometheus: Prometheus, exporter: Exporter) -> None:
    scrape(prometheus, exporter, LATENCY)
    assert await ask(prometheus, "latency > 100") == []


async def test_what_is_no_number_is_told_as_it_is(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    scrape(prometheus, exporter, LATENCY)
    (nan,) = await ask(prometheus, "sum(latency - latency) / sum(latency - latency)")
    (infinite,) = await ask(prometheus, "max(latency) / 0")
    assert math.isnan(nan.value)
    assert infinite.value == math.inf


async def test_a_sample_older_than_the_lookback_is_none(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    """A sample with a timestamp of its own, as a federating Prometheus passes it on."""
    scrape(prometheus, exporter, "")
    (up,) = prometheus.query("timestamp(up)")
    scrape(prometheus, exporter, f"latency 3.25 {int((up.value - 100) * 1000)}\n")
    assert await ask(prometheus, "latency", lookback_seconds=60) == []
    (found,) = await ask(prometheus, "latency", lookback_seconds=250)
    assert found.value == 3.25


@pytest.mark.parametrize(
    ("promql", "why"), [("sum by (", "bad_data"), ("1 + 1", "a scalar"), ("up[5m]", "a matrix")]
)
async def test_a_query_without_a_vector_says_so(
    prometheus: Prometheus, promql: str, why: str
) -> None:
    with pytest.raises(MetricsUnavailableError, match=why) as caught:
        await ask(prometheus, promql)
    assert caught.value.reason is ErrorReason.PROMETHEUS_BAD_ANSWER


async def test_no_prometheus_says_how_to_name_one() -> None:
    with pytest.raises(MetricsUnavailableError, match="set --prometheus-url") as caught:
        await NoPrometheus().query("up", lookback_seconds=60)
    assert caught.value.reason is ErrorReason.PROMETHEUS_UNAVAILABLE

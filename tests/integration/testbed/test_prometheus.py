"""Prometheus of the testbed scrapes real endpoints and can be stopped and started."""

import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer

import prometheus_client
import pytest

from testbed.errors import TestbedError
from testbed.ports import LOOPBACK
from testbed.prometheus import Prometheus
from tests.prometheus import own_prometheus


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    """A server of this file, which stops it and changes its jobs."""
    with own_prometheus() as prometheus:
        yield prometheus


@pytest.fixture
def exporter() -> Iterator[tuple[prometheus_client.Counter, str]]:
    """A counter, and the address where it is exposed."""
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("work_done", "Work.", registry=registry)
    httpd: WSGIServer
    thread: threading.Thread
    httpd, thread = prometheus_client.start_http_server(0, LOOPBACK, registry=registry)
    yield counter, f"{LOOPBACK}:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_it_scrapes_what_it_is_told(
    server: Prometheus, exporter: tuple[prometheus_client.Counter, str]
) -> None:
    counter, address = exporter
    counter.inc(3)
    server.scrape("exporter", [address], labels={"team": "a"})
    sample, *rest = server.wait_for("work_done_total == 3")
    assert rest == []
    assert sample.labels["team"] == "a"
    counter.inc(4)
    server.wait_for("work_done_total == 7")


def test_series_survive_a_restart(
    server: Prometheus, exporter: tuple[prometheus_client.Counter, str]
) -> None:
    counter, address = exporter
    counter.inc()
    server.scrape("restart", [address])
    server.wait_for('work_done_total{job="restart"} == 1')
    server.stop()
    server.start()
    assert server.wait_for('count_over_time(work_done_total{job="restart"}[1h]) > 0')


def test_a_job_that_is_left_goes_stale(
    server: Prometheus, exporter: tuple[prometheus_client.Counter, str]
) -> None:
    _, address = exporter
    server.scrape("leaving", [address])
    server.wait_for('up{job="leaving"} == 1')
    server.stop_scraping("leaving")
    server.wait_for('absent(up{job="leaving"})')


def test_it_names_what_it_refuses(server: Prometheus) -> None:
    with pytest.raises(TestbedError, match="parse error"):
        server.query("sum(")
    with pytest.raises(TestbedError, match="refused its configuration"):
        server.load_rules("bad", {"groups": [{"name": "g", "rules": [{"record": "a"}]}]})

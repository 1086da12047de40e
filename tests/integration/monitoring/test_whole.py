"""The product at work, as a real Prometheus sees it: series, dashboard, an alert that fires."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
import yaml

from testbed.errors import TestbedError
from testbed.prometheus import Prometheus
from testbed.stack import Stack
from tests.monitoring import DASHBOARD, RULES, described, names_in, of_api, of_operator, promtool
from tests.product import Installation
from tests.prometheus import own_prometheus

ROLLOUT = {
    "strategy": {"canary": {"steps": [10, 50], "stepSeconds": 1}},
    "analysis": {"maturationSeconds": 3, "minCandidateRuns": 50},
}
# Stays live: no step is left, and it needs more runs than there are.
ENDLESS = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 3, "minCandidateRuns": 100_000, "maxRuns": 1_000_000},
}


@pytest.fixture
def prometheus(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Prometheus]:
    """One of the test's own: that of all still knows what other tests' rollouts did."""
    with own_prometheus(scrape_interval_seconds=0.5) as server:
        monkeypatch.setattr(stack, "prometheus", server)
        yield server


@pytest.fixture
def busy(prometheus: Prometheus, installed: Installation) -> Installation:
    """A doer whose bad candidate was rolled back, and one with a live canary."""
    truth = installed.truth(critic_v1=0.2, critic_v2=0.7, planner_v1=0.4, planner_v2=0.4)
    for doer, rollout in (("critic", ROLLOUT), ("planner", ENDLESS)):
        installed.doer(doer, rollout=rollout)
        installed.product.start_agents(doer, truth=truth, count=1, rate=40)
        installed.roll_out(doer)
    installed.wait_share("planner", 50)
    assert installed.wait_end("critic") == "RolledBack"
    return installed


def test_a_real_prometheus_sees_all_of_it(busy: Installation, prometheus: Prometheus) -> None:
    check_expositions(busy)
    check_health(busy)
    check_dashboard(busy, prometheus)
    check_alerts(busy, prometheus)


def check_expositions(installed: Installation) -> None:
    """promtool has no complaint, and only what is declared is exposed."""
    declared = {"api": of_api(), "operator": of_operator()}
    for service, metrics in declared.items():
        text = getattr(installed.product, service).get("/metrics") or ""
        assert promtool("check", "metrics", stdin=text) == (0, ""), service
        names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line[0] != "#"}
        assert names
        assert names <= {name for one in metrics for name in one.series}, service
        assert installed.product.token not in text


def check_health(installed: Installation) -> None:
    answer = urllib3.request("GET", f"{installed.product.api.url}/health", timeout=5, retries=False)
    told = json.loads(answer.data)
    assert (answer.status, told["status"]) == (200, "ok"), told
    components = told["components"]
    assert components["operator"]["heartbeatAgeSeconds"] < 30
    assert components["kubernetes"]["snapshotAgeSeconds"] < 90
    assert components["database"]["schemaRevision"]
    assert components["database"]["latencyMilliseconds"] > 0
    for secret in (
        installed.planted.token,
        installed.planted.password,
        installed.objects.namespace,
        "planner",
    ):
        assert secret not in answer.data.decode()


def check_dashboard(installed: Installation, prometheus: Prometheus) -> None:
    """Every expression of every panel has data, and asks for what exists."""
    exposed = {name for one in (*of_api(), *of_operator()) for name in one.series}
    chosen = {"$namespace": installed.objects.namespace, "$doer": "critic|planner"}
    empty = []
    for panel, target in targets():
        expression = target["expr"].replace("$__rate_interval", "30s")
        assert names_in(expression), panel
        assert names_in(expression) <= exposed, panel
        for name, value in chosen.items():
            expression = expression.replace(name, value)
        try:
            installed.wait(
                lambda expression=expression: prometheus.query(expression),
                f"data for {panel}",
                deadline_seconds=60,
            )
        except TestbedError:
            empty.append((panel, expression))
    assert empty == []


def targets() -> list[tuple[str, dict[str, Any]]]:
    """Each panel's title with each of its targets."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [(one["title"], target) for one in panels for target in one.get("targets", [])]
    assert len(found) > 20
    return found


def check_alerts(installed: Installation, prometheus: Prometheus) -> None:
    """The rules as shipped: the roll-back fires, the dead api after it is gone, nothing else."""
    prometheus.load_rules("learnops", yaml.safe_load(RULES.read_text()))
    rolled_back = 'ALERTS{alertname="LearnopsRolledBack",alertstate="firing"}'
    (alert,) = prometheus.wait_for(rolled_back)
    assert (alert.labels["doer"], alert.labels["verdict"]) == ("critic", "Rollback")
    firing = prometheus.query('ALERTS{alertstate="firing"}')
    assert {one.labels["alertname"] for one in firing} == {"LearnopsRolledBack"}
    installed.product.api.process.kill()
    prometheus.wait_for('ALERTS{alertname="LearnopsApiDown",alertstate="pending"}')
    installed.product.api.start()
    installed.wait(
        lambda: not prometheus.query('ALERTS{alertname="LearnopsApiDown"}'),
        "the alert to end with the api's return",
    )


def test_what_is_described_is_what_a_registry_holds() -> None:
    """The helper sees histograms and counters under the names that are scraped."""
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    Counter("a_thing", "Things.", ("x",), registry=registry)
    Histogram("b_seconds", "Times.", registry=registry)
    assert [(one.name, one.labels, one.series) for one in described(registry)] == [
        ("a_thing_total", ("x",), ("a_thing_total",)),
        ("b_seconds", (), ("b_seconds_bucket", "b_seconds_sum", "b_seconds_count")),
    ]

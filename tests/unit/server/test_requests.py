"""Requests are counted by route and status; no caller makes series."""

import threading

import pytest
from fastapi import FastAPI
from prometheus_client import Gauge

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.server.app import create_app
from learnops.server.auth import DevelopmentToken
from learnops.server.services import Services, assemble
from tests.unit.server.asgi import ask


@pytest.fixture
def services() -> Services:
    pool = make_pool("postgresql://", application="test")
    return assemble(pool=pool, clock=SystemClock(), ttl_seconds=None)


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services=services, by=DevelopmentToken("t" * 16))


def counts(services: Services) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["route"], sample.labels["code"]): sample.value
        for family in services.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "learnops_http_requests_total" and sample.value
    }


@pytest.mark.parametrize(
    ("method", "path", "token", "expected"),
    [
        ("GET", "/livez", None, ("/livez", "200")),
        ("POST", "/v1/runs", None, ("/v1/runs", "401")),  # refused before any route
        ("POST", "/v1/runs:batch", "t" * 16, ("/v1/runs:batch", "503")),  # no database
        ("GET", "/v1/runs/r-1?namespace=n", "t" * 16, ("/v1/runs/{run_id}", "503")),
        ("GET", "/v1/runs/r-2", None, ("unknown", "401")),
        ("GET", "/v1/nothing-like-it", "t" * 16, ("unknown", "404")),
    ],
)
async def test_by_the_routes_template(
    app: FastAPI,
    services: Services,
    method: str,
    path: str,
    token: str | None,
    expected: tuple[str, str],
) -> None:
    await ask(app, method, path, token=token)
    assert counts(services) == {expected: 1.0}


async def test_a_thousand_paths_are_two_series(app: FastAPI, services: Services) -> None:
    for number in range(500):
        await ask(app, "GET", f"/v1/runs/{number}?namespace=n")
        await ask(app, "GET", f"/{number}", token=None)
    assert counts(services) == {("/v1/runs/{run_id}", "503"): 500.0, ("unknown", "401"): 500.0}


async def test_a_scrape_holds_up_nobody(app: FastAPI, services: Services) -> None:
    """It is written in another thread than the one that answers agents."""
    gauge = Gauge("learnops_test_thread", "Who writes.", registry=services.metrics.registry)
    gauge.set_function(threading.get_ident)
    told = (await ask(app, "GET", "/metrics", token=None)).body.decode()
    (line,) = [one for one in told.splitlines() if one.startswith("learnops_test_thread ")]
    assert float(line.split()[1]) != float(threading.get_ident())

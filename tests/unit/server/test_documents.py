"""The OpenAPI document says what is answered, errors included."""

import json
from typing import Any

import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.server.app import create_app
from learnops.server.auth import DevelopmentToken
from learnops.server.services import assemble

PROBLEMS = {
    "POST /v1/assignments": "400 401 403 404 413 422 429 503",
    "POST /v1/assignments:void": "400 401 403 413 422 503",
    "GET /v1/route": "401 403 404 422 429 503",
    "POST /v1/runs": "400 401 403 409 413 422 429 503",
    "POST /v1/runs:batch": "400 401 403 413 422 429 503",
    "GET /v1/runs/{run_id}": "401 403 404 422 503",
    "POST /v1/runs/{run_id}/signals": "400 401 403 404 409 413 422 429 503",
    "POST /v1/shadows": "400 401 403 404 413 422 503",
    "POST /v1/shadows:report": "400 401 403 413 422 429 503",
    "GET /v1/snapshot": "401 403 404 422 503",
    "GET /v1/policies/{name}": "401 403 404 422 503",
    "GET /v1/canaries/{name}": "401 403 404 422 503",
}


@pytest.fixture(scope="module")
def document() -> Any:
    # Nothing is opened or asked: the document depends on the routes alone.
    pool = make_pool("postgresql://", application="test")
    services = assemble(pool=pool, clock=SystemClock(), ttl_seconds=300)
    return create_app(services=services, by=DevelopmentToken("t" * 16)).openapi()


def test_every_route_of_v1_lists_its_problems(document: Any) -> None:
    listed = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1"):
                listed[f"{method.upper()} {path}"] = {
                    status
                    for status, answer in operation["responses"].items()
                    if answer.get("content", {}).keys() == {"application/problem+json"}
                }
    # Whatever reads a body may wait for it in vain.
    expected = {
        route: {*told.split(), *(["408", "415"] if "413" in told else [])}
        for route, told in PROBLEMS.items()
    }
    assert listed == expected


def test_no_other_form_of_an_error_is_named_and_every_reference_leads_somewhere(
    document: Any,
) -> None:
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    assert document["components"]["schemas"]["Problem"]["properties"]["field"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in document["components"]["schemas"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("post", "/v1/runs:batch", "BatchAnswer"),
        ("get", "/v1/route", "RouteAnswer"),
        ("get", "/v1/snapshot", "SnapshotAnswer"),
        ("post", "/v1/runs/{run_id}/signals", "SignalsAnswer"),
    ],
)
def test_answers_have_a_schema(document: Any, method: str, path: str, name: str) -> None:
    content = document["paths"][path][method]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": f"#/components/schemas/{name}"}


def test_what_needs_no_token_says_so(document: Any) -> None:
    open_paths = {
        path
        for path, methods in document["paths"].items()
        if all(operation.get("security") == [] for operation in methods.values())
    }
    assert open_paths == {"/livez", "/readyz", "/health", "/metrics"}
    assert document["security"] == [{"bearer": []}]

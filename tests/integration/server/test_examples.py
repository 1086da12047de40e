"""Each example of the document is taken by the real api, and answered as the document says."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema_rs import Draft202012Validator

from learnops.server.openapi import document
from tests.integration.server.conftest import Served

DOCUMENT = document()
NDJSON = "application/x-ndjson"
# The doer of these tests has a canary in its traffic, and no CanaryDeployment that tells of it.
WITHOUT = {"GET /v1/canaries/{name}"}
ROUTES = [
    f"{method.upper()} {path}"
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
    if path.startswith("/v1")
]


def send(served: Served, route: str, *, kind: str = "application/json") -> Any:
    """The example of a route, in the namespace of these tests."""
    method, _, path = route.partition(" ")
    told = DOCUMENT["paths"][path][method.lower()]
    query = {}
    for parameter in told.get("parameters", []):
        value = parameter["example"]
        if parameter["name"] == "namespace":
            value = served.world.namespace
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", value)
        elif parameter["in"] == "query":
            query[parameter["name"]] = value
    raw = None
    if "requestBody" in told:
        example = told["requestBody"]["content"][kind]["example"]
        text = example if isinstance(example, str) else json.dumps(example)
        raw = text.replace('"agents"', json.dumps(served.world.namespace)).encode()
    return served.api.call(
        method, f"{path}?{urlencode(query)}", raw=raw, headers={"Content-Type": kind}
    )


def as_told(route: str, answer: Any) -> bool:
    """Whether the answer is what the document says of its status."""
    method, _, path = route.partition(" ")
    content = DOCUMENT["paths"][path][method.lower()]["responses"][str(answer.status)]["content"]
    (body,) = content.values()
    schema = {**body["schema"], "components": DOCUMENT["components"]}
    return bool(Draft202012Validator(schema).is_valid(answer.body))


@pytest.fixture(scope="module", autouse=True)
def _reported(served: Served) -> None:
    """The run that the examples are about, reported and with a signal."""
    assert send(served, "POST /v1/runs").status == 201
    assert send(served, "POST /v1/runs/{run_id}/signals").status == 201


@pytest.mark.parametrize("route", [route for route in ROUTES if route not in WITHOUT])
def test_an_example_is_taken_and_answered_as_told(served: Served, route: str) -> None:
    answer = send(served, route)
    assert answer.status == 200, answer.body
    assert as_told(route, answer), answer.body


@pytest.mark.parametrize("route", ["POST /v1/runs:batch", "POST /v1/shadows:report"])
def test_an_example_in_lines(served: Served, route: str) -> None:
    answer = send(served, route, kind=NDJSON)
    assert (answer.status, len(answer.body["results"])) == (200, 1)
    assert as_told(route, answer), answer.body


def test_the_runs_example_is_a_repetition_when_it_is_sent_again(served: Served) -> None:
    (result,) = send(served, "POST /v1/runs:batch").body["results"]
    assert result["status"] == "duplicate"


def test_a_canary_that_is_not_there_is_told_as_a_problem(served: Served) -> None:
    (route,) = WITHOUT
    answer = send(served, route)
    assert (answer.status, as_told(route, answer)) == (404, True)

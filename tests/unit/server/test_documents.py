"""The OpenAPI document says what is answered, errors included."""

import json
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from learnops.server import openapi
from tests.unit.server.routes import rows

PROBLEMS = {
    "POST /v1/assignments": "400 401 403 404 413 422 429 503",
    "POST /v1/assignments:void": "400 401 403 413 422 429 503",
    "GET /v1/route": "401 403 404 422 429 503",
    "POST /v1/runs": "400 401 403 409 413 422 429 503",
    "POST /v1/runs:batch": "400 401 403 413 422 429 503",
    "GET /v1/runs/{run_id}": "401 403 404 422 503",
    "POST /v1/runs/{run_id}/signals": "400 401 403 404 409 413 422 429 503",
    "POST /v1/shadows": "400 401 403 404 413 422 429 503",
    "POST /v1/shadows:report": "400 401 403 413 422 429 503",
    "GET /v1/snapshot": "401 403 404 422 503",
    "GET /v1/policies/{name}": "401 403 404 422 503",
    "GET /v1/canaries/{name}": "401 403 404 422 503",
}


@pytest.fixture(scope="module")
def document() -> Any:
    return openapi.document()


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


def operations(document: Any) -> list[tuple[str, Any]]:
    return [
        (f"{method.upper()} {path}", told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def test_each_operation_has_a_name_of_its_own_and_tells_its_right(document: Any) -> None:
    told = operations(document)
    names = [operation["operationId"] for _, operation in told]
    assert len(set(names)) == len(names)
    needs = {route: asks.need.verb.value for route, asks in rows("n").items()}
    for route, operation in told:
        named = [verb for each in operation["security"] for verb in each["bearer"]]
        assert named[:1] == ([needs[route]] if route in needs else [])
        assert all(f"`{verb}`" in operation["description"] for verb in named)
        assert operation["summary"]
        assert set(operation["tags"]) <= {tag["name"] for tag in document["tags"]}


def _shown(told: Any, places: list[Any]) -> list[Any]:
    """All that has a schema and should have an example, below this."""
    if isinstance(told, dict):
        if "schema" in told:
            places.append(told)
        for inner in told.values():
            _shown(inner, places)
    elif isinstance(told, list):
        for inner in told:
            _shown(inner, places)
    return places


def test_each_parameter_and_body_has_an_example_that_its_schema_takes(document: Any) -> None:
    places = _shown(document["paths"], [])
    assert len(places) > 100
    for place in places:
        schema = {**place["schema"], "components": document["components"]}
        assert Draft202012Validator(schema).is_valid(place["example"]), place
        assert not Draft202012Validator(schema).is_valid(object_of_nothing(place)), place


def object_of_nothing(place: Any) -> Any:
    """What no schema here takes: the check is none that takes everything."""
    return 7 if isinstance(place["example"], str) else "text"


def test_models_with_examples_of_their_own_take_them(document: Any) -> None:
    components = document["components"]
    own = {name: it["examples"] for name, it in components["schemas"].items() if "examples" in it}
    assert {"Bundle", "SignalsRequest"} <= own.keys()
    for name, examples in own.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        for example in examples:
            assert Draft202012Validator(schema).is_valid(example), (name, example)


def test_the_document_is_the_same_each_time(document: Any) -> None:
    assert json.dumps(document) == json.dumps(openapi.document())

"""The api fuzzed from its own OpenAPI document: nothing breaks it, and it takes no nonsense.

`make test` plays a few cases a route, the same each time; `make fuzz` many, other ones each time.
"""

import json
import os
from typing import Any

import schemathesis
from jsonschema_rs import Draft202012Validator
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    unsupported_method,
)

from learnops.server.openapi import document
from tests.integration.server.conftest import TOKEN, Served

EXAMPLES = int(os.environ.get("LEARNOPS_FUZZ_EXAMPLES", "20"))
LONG = "LEARNOPS_FUZZ_EXAMPLES" in os.environ


def _schema() -> Any:
    checks = {
        # What a valid request means is beyond any schema: its doer exists, a rate is at most 1.
        # Such a refusal must name the field instead: `names_the_field`.
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "304", "404", "409", "422"],
        },
    }
    generation = {"mode": "all", "max-examples": EXAMPLES, "deterministic": not LONG}
    config = SchemathesisConfig.from_dict({"checks": checks, "generation": generation})
    return schemathesis.openapi.from_dict(document(), config=config)


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: Any, value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace")


schema = _schema()
BUNDLE = Draft202012Validator(
    {"$ref": "#/components/schemas/Bundle", "components": document()["components"]}
)


BATCHES = {"/v1/runs:batch", "/v1/shadows:report"}
SIGNALS = "/v1/runs/{run_id}/signals"


@schema.parametrize()
def test_fuzzed(case: Any, served: Served) -> None:
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        _at_home(case, served.world.namespace)
    left_out = []
    if case.path in BATCHES:
        # A bad item does not harm its neighbours: the batch is 200, and each result is looked at.
        left_out.append(negative_data_rejection)
    if case.path == SIGNALS:
        # GET of this path is the run whose id ends with /signals, documented with that of runs.
        left_out += [allow_header_conformance, unsupported_method]
    answer = case.call_and_validate(
        base_url=served.api.url,
        headers={"Authorization": f"Bearer {TOKEN}"},
        additional_checks=[tells_a_problem, stores_valid_items_alone],
        excluded_checks=left_out,
        timeout=30,
    )
    assert answer is not None


def tells_a_problem(_ctx: Any, answer: Any, case: Any) -> None:
    """Each refusal is problem+json with its own status, and a 422 names the field."""
    if answer.status_code < 400 or case.path in ("/readyz", "/health"):
        return
    told = json.loads(answer.content) if answer.content else {}
    assert answer.headers["content-type"] == ["application/problem+json"], answer.headers
    assert case.method == "HEAD" or told["status"] == answer.status_code
    if answer.status_code == 422:
        assert told["field"], told


def stores_valid_items_alone(_ctx: Any, answer: Any, case: Any) -> None:
    """Each item of a batch that its schema refuses is refused, and by a problem that says why."""
    if case.path not in BATCHES or answer.status_code != 200:
        return
    if "ndjson" in answer.request.headers["Content-Type"]:  # test_wire.py has lines of its own
        return
    items = _items(answer.request.body)
    results = json.loads(answer.content)["results"]
    assert len(items) == len(results)
    for item, result in zip(items, results, strict=True):
        if not BUNDLE.is_valid(item):
            assert result["status"] in ("invalid", "forbidden"), (item, result)
            assert result["problem"]["status"] in (422, 403)


def _items(body: bytes | str) -> list[Any]:
    parsed = json.loads(body)
    return list(parsed["runs"] if isinstance(parsed, dict) else parsed)


def test_the_document_is_what_is_served(served: Served) -> None:
    assert served.api.get("/openapi.json", token=None).body == document()


def _at_home(case: Any, namespace: str) -> None:
    """A random namespace and doer would be answered 404 and get no further."""
    for told in (case.body, case.query):
        if isinstance(told, dict):
            if "namespace" in told:
                told["namespace"] = namespace
            if "doer" in told:
                told["doer"] = "planner"

"""Puts names, rights and examples into the OpenAPI document that FastAPI makes of the routes."""

import json
from collections.abc import Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from learnops.api.common import GROUP
from learnops.server.examples import OPERATIONS, PARAMETERS, Operation
from learnops.server.media import NDJSON
from learnops.server.problems import MEDIA_TYPE, Problem

_RIGHT: Final = {
    "verb": "ingest",
    "group": GROUP,
    "resource": "doers",
    "namespace": "agents",
    "name": "planner",
}


def describe(document: Mapping[str, Any]) -> None:
    """Changes the document in place. Raises KeyError for a route that `OPERATIONS` lacks."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            _describe(told, by=OPERATIONS[f"{method.upper()} {path}"])


def _describe(told: dict[str, Any], *, by: Operation) -> None:
    told["operationId"] = by.id
    # The names of the rights stand where OpenAPI 3.1 has roles; any one of them is enough.
    told["security"] = [{"bearer": [verb.value]} for verb in by.verbs]
    if by.verbs:
        verbs = " or ".join(f"`{verb.value}`" for verb in by.verbs)
        told["description"] += f"\n\nNeeds the RBAC verb {verbs} on `doers.{GROUP}`."
    for parameter in told.get("parameters", []):
        parameter["example"] = PARAMETERS[parameter["name"]]
    for kind, content in told.get("requestBody", {}).get("content", {}).items():
        content["example"] = _lines(by.request) if kind == NDJSON else deepcopy(by.request)
    for status, answer in told["responses"].items():
        for kind, content in answer.get("content", {}).items():
            problem = kind == MEDIA_TYPE
            content["example"] = (
                _problem(int(status), answer) if problem else by.answers[int(status)]
            )


def _lines(request: Any) -> str:
    return "".join(json.dumps(bundle) + "\n" for bundle in request["runs"])


def _problem(status: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    field = "runId" if status == HTTPStatus.UNPROCESSABLE_ENTITY else None
    detail = "runId: is missing; send it" if field else str(answer["description"])
    told = Problem(HTTPStatus(status), detail, field=field).body()
    return told | {"missing": _RIGHT} if status == HTTPStatus.FORBIDDEN else told

"""What the OpenAPI document says beyond what FastAPI finds out by itself."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from learnops.server.gate import OPEN_PATHS
from learnops.server.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_WHY: Final[Mapping[int, str]] = {
    400: "the body is not JSON",
    401: "no bearer token, or one that nobody knows",
    403: "the token's owner lacks a right; `missing` names it",
    404: "there is no such object, or it has no traffic yet",
    408: "the body did not arrive in time",
    409: "stored with other content; the first stays",
    413: "the body is over the limit; send less at once",
    415: "the body is not sent as JSON, or is compressed",
    422: "`field` names what is wrong",
    429: "too much is waiting to be written; send it again after Retry-After",
    503: "something the api needs is away; nothing may be assumed, and repeating is safe",
}
_EVERYWHERE: Final = (
    HTTPStatus.UNAUTHORIZED.value,
    HTTPStatus.FORBIDDEN.value,
    HTTPStatus.SERVICE_UNAVAILABLE.value,
)
_OF_BODIES: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT.value, HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value}
)
_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "An error, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "Path of the field at fault, where one is."},
        "missing": {
            "type": "object",
            "description": "Of a 403: the right that an RBAC rule must grant.",
            "required": ["verb", "group", "resource", "namespace", "name"],
            "properties": {
                "verb": {"type": "string", "enum": ["ingest", "route", "read"]},
                "group": {"type": "string"},
                "resource": {"type": "string"},
                "namespace": {"type": "string"},
                "name": {"type": ["string", "null"], "description": "Null: every doer there."},
            },
        },
    },
}


def problems(*statuses: int) -> Responses:
    """The `responses` of a route that answers these problems.

    401, 403 and 503 every one does, 408 and 415 every one that may answer 413: it reads a body.
    """
    body = _OF_BODIES if 413 in statuses else frozenset[int]()
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _WHY[status], "content": content}
        for status in sorted({*_EVERYWHERE, *statuses, *body})
    }


def complete(app: FastAPI) -> None:
    """Add the bearer token and the schema of problems to the app's document."""
    # Replacing the method is the hook that FastAPI documents.
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        components = document.setdefault("components", {})
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        components.setdefault("schemas", {})["Problem"] = dict(_SCHEMA)
        document["security"] = [{"bearer": []}]
        for path in OPEN_PATHS & document["paths"].keys():
            for operation in document["paths"][path].values():
                operation["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]

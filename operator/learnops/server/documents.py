"""What the OpenAPI document says beyond what FastAPI finds out by itself."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from learnops.server.describing import describe
from learnops.server.problems import MEDIA_TYPE
from learnops.server.reading import schemas

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
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A Kubernetes service account's token, issued for the api's audience.",
}
_TAGS: Final[Mapping[str, str]] = {
    "assignments": "Which policy a run gets, registered before it starts.",
    "runs": "What runs report, and what is found out later.",
    "shadow": "Pairs of a run of control and the candidate's on the same input.",
    "snapshot": "What a router in the agent's process needs.",
    "reports": "Policies and canaries as they stand.",
    "operations": "Probes and metrics; no token needed.",
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
    """Add the bearer token, the schema of problems and what `describe` knows to the document."""
    # Replacing the method is the hook that FastAPI documents.
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = generate()
        components = document.setdefault("components", {})
        components["securitySchemes"] = {"bearer": dict(_BEARER)}
        components.setdefault("schemas", {})["Problem"] = dict(_SCHEMA)
        components["schemas"] = dict(sorted((schemas() | components["schemas"]).items()))
        document["security"] = [{"bearer": []}]
        document["tags"] = [{"name": name, "description": told} for name, told in _TAGS.items()]
        describe(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]

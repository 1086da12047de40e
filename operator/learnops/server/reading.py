"""A bundle that is sent alone: read from its body, beside the event loop where it is large."""

import json
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from pydantic.json_schema import models_json_schema

from learnops.server.beside import LARGE_BYTES, Turns
from learnops.server.models import Bundle, LargeBundle
from learnops.server.problems import Problem, from_validation

_REF: Final = "#/components/schemas/{model}"
BUNDLE_DOC: Final[Mapping[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="Bundle")}}},
    }
}
"""What FastAPI would say of the body if it read it itself: then that would be on the loop."""


async def read_bundle(body: bytes, *, turns: Turns) -> Bundle:
    """Raises Problem: 400 where it is no JSON, 422 that names the field."""
    if len(body) <= LARGE_BYTES:
        return _bundle(body, Bundle)
    return await turns.run(partial(_bundle, body, LargeBundle))


def schemas() -> dict[str, Any]:
    """Of a bundle and what is in it, by name, for the OpenAPI document."""
    _, made = models_json_schema([(Bundle, "validation")], ref_template=_REF)
    defined: dict[str, Any] = made["$defs"]
    return defined


def _bundle(body: bytes, kind: type[Bundle]) -> Bundle:
    given = _json(body) if body else None
    if given is None:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body: is missing; send it", field="body")
    try:
        return kind.model_validate(given, from_attributes=True)
    except ValidationError as error:
        raise from_validation(error.errors(include_url=False)) from None


def _json(body: bytes) -> Any:
    """Raises Problem 400. As `Request.json` reads it, so that any body is judged alike."""
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        detail = f"the body is not JSON: {error.msg}"
        raise Problem(HTTPStatus.BAD_REQUEST, detail) from None
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "There was an error parsing the body") from None

"""Errors as `application/problem+json` (RFC 9457), everywhere: also 404, 405, 422 and 500."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from learnops.adapters.postgres.connection import DatabaseUnavailableError
from learnops.server.discretion import discreet, named, shown

log = logging.getLogger(__name__)

# The names of RFC 9110, whatever the Python version calls them.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
MEDIA_TYPE = "application/problem+json"
_SHOWN_CHARACTERS = 60


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer that is an error; `field` is the path of the field at fault, where one is."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        told: dict[str, Any] = {
            "type": "about:blank",
            "title": _TITLES.get(self.status, self.status.phrase),
            "status": self.status.value,
            "detail": discreet(self.detail),
        }
        return told if self.field is None else told | {"field": discreet(self.field)}

    def response(self) -> JSONResponse:
        """The answer itself."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(
            self.body(), status_code=self.status, headers=headers, media_type=MEDIA_TYPE
        )


def unavailable(detail: str) -> Problem:
    """503: something the api needs is away; try again in a second."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=1)


def overloaded() -> Problem:
    """429: more is waiting than can be done in good time."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too much is waiting to be written; send it again after Retry-After seconds",
        retry_after=1,
    )


def not_found(detail: str) -> Problem:
    """404."""
    return Problem(HTTPStatus.NOT_FOUND, detail)


def from_validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """422 from pydantic's errors: the first field at fault, and how many more."""
    first = errors[0]
    if first["type"] == "json_invalid":
        reason = (first.get("ctx") or {}).get("error", "")
        return Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {reason}")
    field = field_path([part for part in first["loc"] if part != "body"]) or "body"
    detail = f"{field}: {_sentence(first)}"
    if len(errors) > 1:
        detail += f" (and {len(errors) - 1} more)"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field)


def field_path(parts: Sequence[str | int]) -> str:
    """`runs[3].metrics.grounding` from its parts."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{named(part)}"
    return path.removeprefix(".")


def _sentence(error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return "is missing; send it"
    if error["type"] == "extra_forbidden":
        return "is no known field; remove it or correct its name"
    message = str(error["msg"]).removeprefix("Value error, ")
    given = error.get("input")
    if isinstance(given, str | int | float | bool) or given is None:
        return f"is {shown(given, characters=_SHOWN_CHARACTERS)}: {message}"
    return message


def install(app: FastAPI, *, routes: Sequence[BaseRoute]) -> None:
    """Make every error of the app a problem; `routes` are all of its own."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, problem: Problem) -> JSONResponse:
        return problem.response()

    @app.exception_handler(DatabaseUnavailableError)
    async def _database(request: Request, error: DatabaseUnavailableError) -> JSONResponse:
        # In the probe's name: its next success, a second later, tells that the database is back.
        request.app.state.services.outage.away("probe", str(error))
        return unavailable("the database is away; nothing was stored").response()

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return from_validation(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        answer = Problem(status, str(error.detail)).response()
        answer.headers.update(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            answer.headers["Allow"] = ", ".join(_allowed(request.scope, routes=routes))
        return answer

    @app.exception_handler(ClientDisconnect)
    async def _left(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        # Nobody hears it. An agent that is killed while it sends is no bug of ours.
        return Problem(HTTPStatus.BAD_REQUEST, "the body broke off").response()

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> JSONResponse:
        # The traceback goes to the log, never to the caller; Starlette raises it again for the log.
        log.error("bug in %s %s", request.method, request.url.path, exc_info=error)
        detail = "a bug of the api; its log has the details"
        answer = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail).response()
        # uvicorn closes the connection after it; told so, nobody sends a next request into that.
        answer.headers["Connection"] = "close"
        return answer


def _allowed(scope: Scope, *, routes: Sequence[BaseRoute]) -> list[str]:
    """The methods of all routes of this path: Starlette tells those of the first alone."""
    of_path = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
    named = {method for route in of_path for method in getattr(route, "methods", None) or ()}
    return sorted(named or {"GET", "HEAD"})  # /openapi.json, which FastAPI adds

"""What a body is sent as, checked before it is read: what is not JSON is never guessed to be."""

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from learnops.server.discretion import shown
from learnops.server.problems import Problem

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
BY_PATH: Final[Mapping[str, tuple[str, ...]]] = {
    "/v1/runs:batch": (JSON, NDJSON),
    "/v1/shadows:report": (JSON, NDJSON),
}
_SHOWN_CHARACTERS: Final = 60


class BodyRoute(APIRoute):
    """A route that answers 415 to a body which is neither JSON nor what else its path takes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, after a look at the headers."""
        handle = super().get_route_handler()

        async def looking(request: Request) -> Response:
            if request.method == "POST":
                _check(request)
            return await handle(request)

        return looking


def media_type(header: str) -> str:
    """Of a Content-Type, in lower case and without its parameters."""
    return header.partition(";")[0].strip().lower()


def _check(request: Request) -> None:
    """Raises Problem 415."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise _unsupported("Content-Encoding: must be absent; send the body uncompressed")
    taken = BY_PATH.get(request.url.path, (JSON,))
    given = request.headers.get("content-type", "")
    if media_type(given) not in taken:
        named = f"is {shown(given, characters=_SHOWN_CHARACTERS)}" if given else "is missing"
        raise _unsupported(f"Content-Type: {named}; it must be {' or '.join(taken)}")


def _unsupported(detail: str) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)

"""How large a body may be, checked before anything is parsed."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.server.problems import Problem

BODY_BYTES: Final = 1024 * 1024
BATCH_BODY_BYTES: Final = 16 * 1024 * 1024
BY_PATH: Final[Mapping[str, int]] = {"/v1/runs:batch": BATCH_BODY_BYTES}


class BodyLimit:
    """ASGI middleware: 413 for a body over the path's limit, by its header or while it arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = BY_PATH.get(scope["path"], BODY_BYTES)
        if _announced(scope) > limit:
            await _refuse(scope, receive, send, limit=limit)
            return
        await self._app(scope, _counting(receive, limit=limit), send)


def _counting(receive: Receive, *, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            # As an HTTPException: FastAPI answers 400 to anything else that reading a body raises.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _detail(limit))
        return message

    return counted


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


async def _refuse(scope: Scope, receive: Receive, send: Send, *, limit: int) -> None:
    answer = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _detail(limit)).response()
    await answer(scope, receive, send)


def _detail(limit: int) -> str:
    return f"the body is over {limit} bytes; send less at once"

"""How large a body may be and how long it may take, checked before anything is parsed."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.domain.bundle_limits import BODY_BYTES
from learnops.server.problems import Problem

BATCH_BODY_BYTES: Final = 16 * 1024 * 1024
BY_PATH: Final[Mapping[str, int]] = {
    "/v1/runs:batch": BATCH_BODY_BYTES,
    "/v1/shadows:report": BATCH_BODY_BYTES,
}
BODY_SECONDS: Final = 30.0
# A body that comes more slowly is not waited for: it would keep its room from the others.
STALL_SECONDS: Final = 10.0
STALL_BYTES: Final = 16 * 1024


def limit_of(path: str) -> int:
    """Bytes that a body of this path may have."""
    return BY_PATH.get(path, BODY_BYTES)


class BodyLimit:
    """ASGI middleware: 413 for a body over the path's limit, by its header or while it arrives.

    408 for one that does not arrive within `seconds`, or of which less than STALL_BYTES come in
    `stall_seconds`, its end apart: it would hold its place in `Admission` for as long as it likes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        seconds: float = BODY_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._app = app
        self._seconds = seconds
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        if _announced(scope) > limit:
            await _refuse(scope, receive, send, limit=limit)
            return
        timed = _in_time(receive, seconds=self._seconds, stall_seconds=self._stall_seconds)
        await self._app(scope, _counting(timed, limit=limit), send)


def _in_time(receive: Receive, *, seconds: float, stall_seconds: float) -> Receive:
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    stall: float | None = min(clock() + stall_seconds, end)
    came = 0

    async def timed() -> Message:
        nonlocal stall, came
        try:
            async with asyncio.timeout_at(stall):
                message = await receive()
        except TimeoutError:
            raise _too_slow(
                end=stall == end, seconds=seconds, stall_seconds=stall_seconds
            ) from None
        came += len(message.get("body", b""))
        if not message.get("more_body", False):
            stall = None  # what is awaited now is that the caller leaves
        elif stall is not None and came >= STALL_BYTES:
            stall, came = min(clock() + stall_seconds, end), 0
        return message

    return timed


def _too_slow(*, end: bool, seconds: float, stall_seconds: float) -> HTTPException:
    detail = (
        f"the body did not arrive within {seconds:g} s"
        if end
        else f"less than {STALL_BYTES} bytes of the body arrived in {stall_seconds:g} s"
    )
    return HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"})


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

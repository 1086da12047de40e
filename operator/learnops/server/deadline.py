"""Every write is answered in time, also where the database neither answers nor breaks off."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.server.problems import unavailable

# Below the 10 s that the SDK waits: it is to be told, and to keep what it sent until later.
ANSWER_SECONDS: Final = 8.0


class Deadline:
    """ASGI middleware: 503 for a POST to /v1 that is not answered within `seconds`.

    What it asked for may still be stored: sending it again is safe, as everywhere.
    """

    def __init__(self, app: ASGIApp, *, seconds: float = ANSWER_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, noted)
        except TimeoutError:
            if begun:
                raise
            detail = f"no answer of the database within {self._seconds:g} s; send it again"
            await unavailable(detail).response()(scope, receive, send)

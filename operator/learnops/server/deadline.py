"""Whatever writes is answered in time, also where the database neither answers nor breaks off."""

import asyncio
import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.server.limits import BODY_SECONDS
from learnops.server.problems import unavailable

log = logging.getLogger(__name__)

# Below the 10 s that the SDK waits: it is to be told, and to keep what it sent until later.
ANSWER_SECONDS: Final = 8.0
_WRITING_GETS: Final = frozenset({"/v1/route"})  # it registers; all other GETs may take their time


class Deadline:
    """ASGI middleware: 503 for a write that is not answered `seconds` after its body has arrived.

    What it asked for may still be stored: sending it again is safe, as everywhere.
    """

    def __init__(self, app: ASGIApp, *, seconds: float = ANSWER_SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._abandoned: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not _writes(scope):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        body = _Body(receive)
        # A task, as the driver takes up to 10 s more to cancel what a frozen server does not hear.
        task = asyncio.create_task(self._run(scope, body.receive, answer))
        try:
            if scope["method"] == "POST":
                await body.arrival_or(task)
            await asyncio.wait({task}, timeout=self._seconds)
        finally:
            if not task.done() and not answer.begun:
                self._abandon(task, answer)
        if answer.abandoned:
            detail = f"no answer of the database within {self._seconds:g} s; send it again"
            await unavailable(detail).response()(scope, receive, send)
        else:
            await task

    async def _run(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        await self._app(scope, receive, answer.send)

    def _abandon(self, task: "asyncio.Task[None]", answer: "_Answer") -> None:
        answer.abandoned = True
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a request that was given up has failed: %s", type(error).__name__)


def _writes(scope: Scope) -> bool:
    return scope["method"] == "POST" or (
        scope["method"] == "GET" and scope["path"] in _WRITING_GETS
    )


class _Body:
    """What the caller sends. A slow one is `BodyLimit`'s to refuse, no fault of the database."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def receive(self) -> Message:
        """One part of the body."""
        message = await self._receive()
        if not message.get("more_body", False) and not self._arrival.done():
            self._arrival.set_result(None)
        return message

    async def arrival_or(self, task: "asyncio.Task[None]") -> None:
        """Until the last part came or the request has ended; for a route that reads no body, as
        long as one may take."""
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait({task, self._arrival}, timeout=BODY_SECONDS, return_when=first)


class _Answer:
    """What goes to the caller, until somebody else has answered."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.abandoned = False

    async def send(self, message: Message) -> None:
        """One part of the answer."""
        if not self.abandoned:
            self.begun = True
            await self._send(message)

"""A connection that says nothing, too much or never listens is left; a patient caller is not."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from learnops.server.patience import Patience, patient
from testbed.ports import LOOPBACK, free_port
from testbed.waiting import wait_until

QUICK = Patience(head_seconds=1, take_seconds=0.5, head_bytes=4096, connections=100)
SLOW = replace(QUICK, head_seconds=60, take_seconds=60)
HEAD = b"POST /%s HTTP/1.1\r\nHost: a\r\n"
SOON = 60.0
LARGE = 64 * 1024 * 1024  # more than sockets hold for a caller


@dataclass
class Caller:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hears(self, text: bytes) -> None:
        async with asyncio.timeout(SOON):
            await self.reader.readuntil(text)

    async def is_left(self) -> bytes:
        """What was said to it before."""
        said = b""
        async with asyncio.timeout(SOON):
            try:
                while part := await self.reader.read(65_536):
                    said += part
            except ConnectionError:
                pass
        return said


class Server:
    """A server in this process: it echoes, refuses unread, or answers at length."""

    def __init__(self, patience: Patience) -> None:
        async def echo(request: Request) -> Response:
            return PlainTextResponse(await request.body())

        async def refuse(_: Request) -> Response:
            return PlainTextResponse("no", 401)

        async def large(_: Request) -> Response:
            return PlainTextResponse(b"x" * LARGE)

        routes = [Route(f"/{it.__name__}", it, methods=["POST"]) for it in (echo, refuse, large)]
        self.port = free_port()
        self.uvicorn = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=routes),
                host=LOOPBACK,
                port=self.port,
                http=patient(patience),  # type: ignore[arg-type]
                log_config=None,
                lifespan="off",
            )
        )

    async def call(self) -> Caller:
        return Caller(*await asyncio.open_connection(LOOPBACK, self.port))

    @property
    def connections(self) -> int:
        return len(self.uvicorn.server_state.connections)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what the server comes to."""
    await asyncio.to_thread(wait_until, condition, what=what, deadline_seconds=SOON)


@asynccontextmanager
async def serving(patience: Patience = QUICK) -> AsyncIterator[Server]:
    server = Server(patience)
    running = asyncio.create_task(server.uvicorn.serve())
    await until(lambda: server.uvicorn.started, "the server to begin")
    try:
        yield server
    finally:
        server.uvicorn.should_exit = True
        await running


@pytest.mark.parametrize("said", [b"", HEAD % b"echo", b"\r\n"])
async def test_who_sends_no_head_is_left(said: bytes) -> None:
    async with serving() as server:
        began = time.monotonic()
        caller = await server.call()
        caller.say(said)
        assert await caller.is_left() == b""
        assert time.monotonic() - began >= QUICK.head_seconds


async def test_who_sends_no_second_head_is_left() -> None:
    async with serving() as server:
        caller = await server.call()
        caller.say(HEAD % b"echo" + b"Content-Length: 2\r\n\r\n{}")
        await caller.hears(b"{}")
        caller.say(HEAD % b"echo")
        assert await caller.is_left() == b""


async def test_who_keeps_back_the_rest_of_a_refused_body_is_left() -> None:
    async with serving() as server:
        caller = await server.call()
        caller.say(HEAD % b"refuse" + b"Content-Length: 100\r\n\r\n{")
        await caller.hears(b"no")
        assert await caller.is_left() == b""


@pytest.mark.parametrize(
    "said",
    [
        HEAD % b"echo" + b"X: ",
        b"GET /",
        HEAD % b"refuse" + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        HEAD % b"refuse" + b"Transfer-Encoding: chunked\r\n\r\n1;",
    ],
    ids=["a header", "a path", "a trailer", "an extension of a chunk"],
)
async def test_who_says_more_than_a_head_may_have_is_left(said: bytes) -> None:
    async with serving(SLOW) as server:
        caller = await server.call()
        for part in (said, *[b"x" * 3000] * 300):
            caller.say(part)
        await caller.is_left()
        assert server.connections == 0


async def test_a_body_may_be_longer_than_a_head_whole_and_in_chunks() -> None:
    body = b"x" * 300_000  # of which one read brings 256 KiB at most
    chunked = b"5\r\nxxxxx\r\n" * 60_000 + b"0\r\n\r\n"  # as much framing as content
    async with serving(SLOW) as server:
        caller = await server.call()
        for _ in range(2):
            caller.say(HEAD % b"echo" + b"Content-Length: 300000\r\n\r\n" + body)
            await caller.hears(body)
            caller.say(HEAD % b"echo" + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
            await caller.hears(body)


async def test_requests_sent_together_are_answered_one_after_the_other() -> None:
    async with serving() as server:
        caller = await server.call()
        caller.say(b"".join(HEAD % b"echo" + b"Content-Length: 1\r\n\r\n%d" % n for n in range(9)))
        for number in range(9):
            await caller.hears(b"\r\n\r\n%d" % number)
        assert await caller.is_left() == b""


async def test_who_does_not_take_the_answers_is_left() -> None:
    async with serving() as server:
        caller = await server.call()
        caller.say((HEAD % b"large" + b"Content-Length: 0\r\n\r\n") * 2)
        await until(lambda: not server.connections, "the caller to be left")
        assert len(await caller.is_left()) < LARGE


async def test_who_waits_longest_makes_room() -> None:
    patience = Patience(head_seconds=60, connections=2)  # nobody is left for waiting
    async with serving(patience) as server:
        first, second = await server.call(), await server.call()
        for caller in (first, second):
            caller.say(HEAD % b"echo" + b"Content-Length: 1\r\n\r\n1")
            await caller.hears(b"\r\n\r\n1")
        third = await server.call()
        third.say(HEAD % b"echo" + b"Content-Length: 1\r\n\r\n3")
        await third.hears(b"\r\n\r\n3")
        assert await first.is_left() == b""
        second.say(HEAD % b"echo" + b"Content-Length: 1\r\n\r\n2")
        await second.hears(b"\r\n\r\n2")


async def test_nobody_who_is_being_answered_makes_room() -> None:
    async with serving(Patience(connections=1)) as server:
        caller = await server.call()
        caller.say(HEAD % b"echo" + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        await caller.hears(b"100 Continue")
        assert await (await server.call()).is_left() == b""
        caller.say(b"1")
        await caller.hears(b"\r\n\r\n1")

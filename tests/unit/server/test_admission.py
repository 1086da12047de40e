"""What is under way is bounded at the door, and a body that does not come loses its place."""

import asyncio
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from learnops.server.admission import Admission, AdmissionLimits, Door
from learnops.server.limits import BodyLimit
from learnops.server.problems import Problem

PATH = "/v1/runs:batch"


class Caller:
    """One request whose body comes when the test says so."""

    def __init__(self, app: Any, *, path: str = PATH, length: int | None = 60) -> None:
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        self.body: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.task = asyncio.create_task(app(scope, self.body.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def answered(self) -> int:
        """The status."""
        async with asyncio.timeout(5):
            await self.task
        return int(self.sent[0]["status"])

    async def finish(self) -> int:
        self.body.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})
        return await self.answered()

    def header(self, name: bytes) -> bytes | None:
        return dict(self.sent[0]["headers"]).get(name)


def _app(*, body_bytes: int = 100, seconds: float = 30.0) -> Any:
    async def read(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("taken")

    routes = [Route(path, read, methods=["POST"]) for path in (PATH, "/v1/route")]
    inner = BodyLimit(Starlette(routes=routes), seconds=seconds)
    return Door(inner, admission=Admission(AdmissionLimits(body_bytes=body_bytes)))


async def test_a_body_there_is_no_room_for_is_refused_unread_and_room_comes_back() -> None:
    app = _app(body_bytes=100)
    first, second, third = Caller(app), Caller(app), Caller(app)
    assert await third.answered() == 429
    assert third.header(b"retry-after") == b"1"
    assert json.loads(third.sent[1]["body"])["status"] == 429
    assert [await first.finish(), await second.finish()] == [200, 200]
    assert await Caller(app).finish() == 200


async def test_a_body_of_unknown_length_counts_as_the_longest() -> None:
    app = _app(body_bytes=1000)
    unknown = Caller(app, length=None)
    await asyncio.sleep(0)
    assert await Caller(app).answered() == 429
    assert await unknown.finish() == 200


async def test_other_requests_are_let_in() -> None:
    app = _app(body_bytes=1)
    waiting = Caller(app)
    await asyncio.sleep(0)
    assert await Caller(app, path="/v1/route").finish() == 200
    assert await waiting.finish() == 200


async def test_a_body_that_does_not_arrive_loses_its_place() -> None:
    app = _app(body_bytes=1, seconds=0.05)
    stalled = Caller(app)
    stalled.body.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    assert await stalled.answered() == 408
    assert stalled.header(b"connection") == b"close"
    assert await Caller(app).finish() == 200


async def test_a_caller_that_leaves_gives_its_place_back() -> None:
    app = _app(body_bytes=1)
    leaving = Caller(app)
    await asyncio.sleep(0)
    leaving.task.cancel()
    await asyncio.gather(leaving.task, return_exceptions=True)
    assert await Caller(app).finish() == 200


def test_the_last_one_in_may_go_beyond_the_limit_and_nobody_after_it() -> None:
    admission = Admission(AdmissionLimits(runs=10))
    with admission.runs(9), admission.runs(10_000):
        with pytest.raises(Problem) as refused, admission.runs(1):
            pass
        assert (refused.value.status, refused.value.retry_after) == (429, 1)
    with admission.runs(1):
        pass

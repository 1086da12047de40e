"""What is under way is bounded at the door, and a body that does not come loses its place."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Scope

from learnops.server.admission import Admission, AdmissionLimits, Door
from learnops.server.limits import STALL_BYTES, BodyLimit, limit_of
from learnops.server.problems import Problem

PATH = "/v1/runs:batch"
REPORTS = (PATH, "/v1/runs", "/v1/shadows:report")
OTHERS = ("/v1/assignments", "/v1/assignments:void", "/v1/shadows", "/v1/runs/a/signals")


class Caller:
    """One request whose body comes when the test says so."""

    def __init__(
        self, app: Any, *, path: str = PATH, length: int | None = 60, method: str = "POST"
    ) -> None:
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        self.body: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self._hungry = asyncio.Event()
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if self.body.empty():
            self._hungry.set()
        return await self.body.get()

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    async def answered(self) -> int:
        """The status."""
        async with asyncio.timeout(60):
            await self.task
        return int(self.sent[0]["status"])

    async def arrives(self, data: bytes) -> None:
        """A part of the body; when this returns it was read, and the next one is awaited."""
        self._hungry.clear()
        self.body.put_nowait({"type": "http.request", "body": data, "more_body": True})
        hungry = asyncio.create_task(self._hungry.wait())
        first = asyncio.FIRST_COMPLETED
        done, _ = await asyncio.wait({hungry, self.task}, timeout=60, return_when=first)
        hungry.cancel()
        assert done

    async def finish(self, data: bytes = b"{}") -> int:
        self.body.put_nowait({"type": "http.request", "body": data, "more_body": False})
        return await self.answered()

    def header(self, name: bytes) -> bytes | None:
        return dict(self.sent[0]["headers"]).get(name)


def _app(
    *,
    report_bytes: int = 100,
    other_bytes: int = 100,
    seconds: float = 30.0,
    stall_seconds: float = 30.0,
) -> Any:
    async def read(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("taken")

    routes = [Route(path, read, methods=["POST", "GET"]) for path in (*REPORTS, *OTHERS)]
    inner = BodyLimit(Starlette(routes=routes), seconds=seconds, stall_seconds=stall_seconds)
    limits = AdmissionLimits(report_bytes=report_bytes, other_bytes=other_bytes)
    return Door(inner, admission=Admission(limits))


@pytest.fixture
async def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stops the time of the loop; called, it is so many seconds later."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)

    def pass_on(seconds: float) -> None:
        nonlocal now
        now += seconds

    return pass_on


@pytest.mark.parametrize("path", [*REPORTS, *OTHERS])
async def test_a_body_there_is_no_room_for_is_refused_unread_and_room_comes_back(path: str) -> None:
    app = _app()
    first = Caller(app, path=path)
    await first.arrives(b"x" * 100)
    second = Caller(app, path=path)
    assert await second.answered() == 429
    assert second.header(b"retry-after") == b"1"
    assert json.loads(second.sent[1]["body"])["status"] == 429
    assert await first.finish() == 200
    assert await Caller(app, path=path).finish() == 200


@pytest.mark.parametrize("length", [16 * 1024 * 1024, None])
async def test_what_is_to_come_holds_no_room(length: int | None) -> None:
    app = _app()
    dribbling = Caller(app, length=length)
    await dribbling.arrives(b"{")
    assert await Caller(app).finish(b"x" * 90) == 200
    assert await dribbling.finish() == 200


async def test_one_of_the_longest_leaves_room_for_others() -> None:
    app = _app(report_bytes=AdmissionLimits().report_bytes)
    stalled = Caller(app, length=None)
    await stalled.arrives(b"x" * limit_of(PATH))
    assert await Caller(app).finish() == 200
    assert await stalled.finish(b"") == 200


async def test_who_comes_in_where_others_fill_the_room_is_refused_as_the_body_arrives() -> None:
    app = _app()
    small, large = Caller(app), Caller(app)
    await small.arrives(b"x")
    await large.arrives(b"x" * 100)
    await small.arrives(b"x")
    assert await small.answered() == 429
    assert small.header(b"retry-after") == b"1"
    assert await large.finish(b"x" * 100) == 200  # the others alone count


@pytest.mark.parametrize(("full", "free"), [(REPORTS[0], OTHERS[0]), (OTHERS[0], REPORTS[0])])
async def test_reports_keep_no_registration_out_nor_the_other_way_round(
    full: str, free: str
) -> None:
    app = _app()
    waiting = Caller(app, path=full)
    await waiting.arrives(b"x" * 100)
    assert await Caller(app, path=free).finish() == 200
    assert await waiting.finish() == 200


async def test_what_has_no_body_is_let_in() -> None:
    app = _app(report_bytes=1)
    waiting = Caller(app)
    await waiting.arrives(b"x")
    assert await Caller(app, method="GET").finish() == 200
    assert await waiting.finish() == 200


async def test_a_body_that_does_not_arrive_loses_its_place(later: Callable[[float], None]) -> None:
    app = _app(report_bytes=1, seconds=4)
    stalled = Caller(app)
    await stalled.arrives(b"{")
    assert await Caller(app).answered() == 429
    later(4.1)
    assert await stalled.answered() == 408
    assert stalled.header(b"connection") == b"close"
    assert await Caller(app).finish() == 200


async def test_a_body_that_dribbles_is_not_waited_for() -> None:
    dribbling = Caller(_app(stall_seconds=0.2))
    while not dribbling.task.done():
        await dribbling.arrives(b"x")
    assert await dribbling.answered() == 408
    said = dribbling.sent[1]["body"].decode()  # an app of its own: no problem
    assert said == "less than 16384 bytes of the body arrived in 0.2 s"


async def test_a_body_may_take_longer_where_enough_of_it_comes(
    later: Callable[[float], None],
) -> None:
    steady = Caller(_app(stall_seconds=1, report_bytes=10**9), length=None)
    for _ in range(10):
        await steady.arrives(b"x" * STALL_BYTES)
        later(0.9)  # the pace of a slow line
    assert await steady.finish() == 200


async def test_a_caller_that_leaves_gives_its_place_back() -> None:
    app = _app(report_bytes=1)
    leaving = Caller(app)
    await leaving.arrives(b"{")
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

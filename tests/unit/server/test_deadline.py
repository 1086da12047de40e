"""A write that nobody answers is answered in time, and may be sent again."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.adapters.postgres.connection import DatabaseUnavailableError
from learnops.server.batching import Batcher, BatchLimits
from learnops.server.deadline import Deadline


async def at_once() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def ask(
    app: ASGIApp, method: str, *, path: str = "/v1/runs", receive: Receive = at_once
) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": []}
    await Deadline(app, seconds=0.05)(scope, receive, send)
    return sent


async def frozen(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await asyncio.Event().wait()


async def test_a_write_without_an_answer_is_503_with_retry_after() -> None:
    start, body = await ask(frozen, "POST")
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert "no answer of the database within 0.05 s" in json.loads(body["body"])["detail"]


async def test_a_route_registers_and_is_answered_in_time_though_nobody_reads_a_body() -> None:
    async def asleep(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        start, _ = await ask(asleep, "GET", path="/v1/route")
    assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")


async def test_a_long_poll_may_take_its_time() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(frozen, "GET", path="/v1/snapshot"), timeout=0.2)


async def test_whoever_cannot_be_cancelled_holds_up_nobody_and_says_nothing_later() -> None:
    let_go = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.Event().wait()
        finally:
            await let_go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            ended.set()

    sent = await ask(stubborn, "POST")
    assert [message.get("status") for message in sent] == [503, None]
    let_go.set()
    await ended.wait()
    assert len(sent) == 2


async def test_an_answer_that_has_begun_is_not_followed_by_another() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.1)  # past the deadline
        await send({"type": "http.response.body", "body": b"x"})

    sent = await ask(slow, "POST")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


async def test_what_the_application_raises_goes_on() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await ask(broken, "POST")


async def test_a_body_may_take_longer_than_the_answer() -> None:
    async def slow_body() -> Message:
        await asyncio.sleep(0.1)  # past the deadline
        return {"type": "http.request", "body": b"", "more_body": False}

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    start, *_ = await ask(reads, "POST", receive=slow_body)
    assert start["status"] == 200


async def test_a_flush_that_never_ends_is_given_up_and_the_next_one_goes() -> None:
    tries = 0

    async def flush(items: object) -> list[str]:
        nonlocal tries
        tries += 1
        if tries == 1:
            await asyncio.Event().wait()
        return ["stored"]

    batcher = Batcher[str, str](flush, limits=BatchLimits(flush_seconds=0.05))
    with pytest.raises(DatabaseUnavailableError, match="no answer within"):
        await batcher.submit(["a"])
    assert await batcher.submit(["a"]) == ["stored"]
    assert batcher.waiting == 0

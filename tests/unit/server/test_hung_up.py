"""A caller who sends requests together and hangs up: the answers are lost, and are no errors."""

import asyncio
from collections.abc import Callable

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from learnops.server.patience import Patience, patient
from testbed.ports import LOOPBACK, free_port
from testbed.waiting import wait_until

SOON = 60.0


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what=what, deadline_seconds=SOON)


async def answer_whoever_hung_up() -> list[Exception]:
    """What the second of three answers raised, given once the connection was lost."""
    raised: list[Exception] = []
    over = asyncio.Event()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["path"] == "/2":
            await until(lambda: not server.server_state.connections, "the caller to hang up")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello"})
        except Exception as error:  # noqa: BLE001 - handed to the test
            raised.append(error)
        if scope["path"] == "/2":
            over.set()

    config = uvicorn.Config(
        app,
        host=LOOPBACK,
        port=free_port(),
        http=patient(Patience(connections=9)),  # type: ignore[arg-type]
        log_config=None,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started, "the server to begin")
    async with asyncio.timeout(SOON):
        reader, writer = await asyncio.open_connection(LOOPBACK, config.port)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in (1, 2, 3)))
        await reader.readuntil(b"hello")
        writer.close()
        await over.wait()
    server.should_exit = True
    await running
    return raised


def test_nothing_is_raised() -> None:
    # On the loop of the api: asyncio's own drops what is written to a connection that is lost.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(answer_whoever_hung_up()) == []

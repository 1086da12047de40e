"""An API server, or a proxy before it, that answers nonsense: no busy loop, no deaf reflector."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from learnops.adapters.kube.reflector import Reflector, Source, Tempo
from learnops.domain.backoff import Delays

PATH = "/apis/learnops.dev/v1alpha1/doers"
GOOD_LIST = {"metadata": {"resourceVersion": "7"}, "items": []}
TEMPO = Tempo(delays=Delays(first_seconds=0.1, most_seconds=0.1))
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Sink:
    def replace(self, objects: list[dict[str, Any]]) -> None: ...

    def put(self, item: dict[str, Any]) -> None: ...

    def drop(self, item: dict[str, Any]) -> None: ...


@asynccontextmanager
async def reflecting(handler: Handler) -> AsyncIterator[asyncio.Task[None]]:
    """A reflector of a server that answers with `handler`."""
    app = web.Application()
    app.router.add_get(PATH, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    api = client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{port}"))
    task = asyncio.create_task(
        Reflector(api=api, source=Source(path=PATH), sink=Sink(), tempo=TEMPO).run()
    )
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()
        await runner.cleanup()


def watch(body: str, *, status: int = 200) -> web.Response:
    return web.Response(text=body, status=status, content_type="application/json")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 200),
        ('{"type":"ERROR","object":{"code":410}}\n', 200),
        ("", 410),
        ('{"type":"ADDED","object":[]}\n', 200),
        ('{"type":"ADDED","object":{"metadata":[]}}\n', 200),
        ("[" * 100_000 + "\n", 200),
    ],
)
async def test_a_watch_that_breaks_at_once_is_tried_again_after_a_pause(
    body: str, status: int
) -> None:
    times: list[float] = []
    enough = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        if "watch" not in request.query:
            return web.json_response(GOOD_LIST)
        times.append(asyncio.get_running_loop().time())
        if len(times) == 4:
            enough.set()
        return watch(body, status=status)

    async with reflecting(handler) as task, asyncio.timeout(60):
        await enough.wait()
        assert not task.done()
    # Jitter takes at most half of each of the three pauses of 0.1 s.
    assert times[3] - times[0] >= 0.15


@pytest.mark.parametrize("answer", [{}, {"metadata": []}, {"metadata": {}, "items": []}])
async def test_a_list_that_is_none_is_asked_for_again(answer: dict[str, Any]) -> None:
    again = asyncio.Event()
    asked = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 3:
            again.set()
        return web.json_response(answer)

    async with reflecting(handler) as task, asyncio.timeout(60):
        await again.wait()
        assert not task.done()

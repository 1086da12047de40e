"""`/livez`, `/readyz` and `/metrics`: a liveness that can fail."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from learnops.adapters.exposition import exposition
from learnops.ports.clock import Clock

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Health:
    """What tells a working operator from one that only runs.

    `oldest_seconds` is the age of the oldest key in the queue. A heartbeat is one turn of the
    Lease: a renewal, or a standby's look at it. `phase` tells people what the process is doing.
    """

    clock: Clock
    oldest_seconds: Callable[[], float]
    stuck_seconds: float = 60.0
    lag_seconds: float = 5.0
    phase: str = "starting"
    ready: bool = False
    _lag: float = 0.0
    _beat: float = field(default=float("-inf"))
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock.monotonic()

    def beat(self) -> None:
        """The Lease was looked after."""
        self._beat = self.clock.monotonic()

    def working(self) -> bool:
        """Whether the queue moves."""
        return self.oldest_seconds() < self.stuck_seconds

    def problems(self) -> list[str]:
        """Why this process should be restarted; empty: it should not."""
        now = self.clock.monotonic()
        silent = now - max(self._beat, self._started)
        found = []
        if not self.working():
            found.append(f"the oldest key waits for {self.oldest_seconds():.0f} s")
        if self._lag > self.lag_seconds:
            found.append(f"the event loop was blocked for {self._lag:.1f} s")
        if silent > self.stuck_seconds:
            found.append(f"no heartbeat for {silent:.0f} s")
        return found

    async def watch_lag(self) -> None:
        """Measure how late the event loop wakes up, for ever; a late one counts for one turn."""
        while True:
            due = self.clock.monotonic() + 1.0
            await asyncio.sleep(1.0)
            self._lag = self.clock.monotonic() - due


@asynccontextmanager
async def serve(
    *, health: Health, registry: CollectorRegistry, host: str, port: int
) -> AsyncIterator[int]:
    """Serve the probes while the context lasts; gives the port (asked for 0: a free one)."""
    runner = web.AppRunner(_application(health, registry), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _application(health: Health, registry: CollectorRegistry) -> web.Application:
    async def livez(_request: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(status=500 if problems else 200, text="\n".join(problems or ["ok"]))

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(status=200 if health.ready else 503, text=health.phase)

    async def metrics(_request: web.Request) -> web.Response:
        body = exposition(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.router.add_get("/livez", livez)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", metrics)
    return application

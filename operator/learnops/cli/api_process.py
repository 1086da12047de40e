"""The composition root of the api: reflectors, application, server, signals."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from learnops.adapters.clock import SystemClock
from learnops.adapters.kube.connection import connect
from learnops.adapters.kube.gatekeeper import REVIEW_SECONDS, KubeGatekeeper
from learnops.adapters.kube.reflector import ApiClient, Reflector, Sink, Source
from learnops.adapters.kube.rest import RestClient
from learnops.adapters.postgres.connection import make_pool
from learnops.api.common import GROUP, VERSION
from learnops.ports.access import Gatekeeper
from learnops.server.app import create_app
from learnops.server.patience import BACKLOG, Patience, most_connections, patient
from learnops.server.remembering import RememberingGatekeeper
from learnops.server.reviews import NotedGatekeeper, Reviews
from learnops.server.services import Services, assemble
from learnops.server.tracker import KEEP_SERIES_SECONDS

# For so long a thread at a large bundle keeps the event loop waiting, each time that it wakes up:
# Python's own 5 ms, several times in a request, would be most of its time.
_SWITCH_SECONDS: Final = 0.001


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """How the api runs. `ttl_seconds` None turns the dead-man switch off."""

    database_url: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    kubeconfig: Path | None = None
    namespaces: tuple[str, ...] = ()  # empty: all
    lease_namespace: str = "default"
    lease_name: str = "learnops-operator"
    ttl_seconds: float | None = 300.0
    audience: str = "learnops"
    access_seconds: float = 60.0  # for how long what was told of a token and a right is good
    keep_series_seconds: float = KEEP_SERIES_SECONDS  # of archived policies and ended rollouts
    drain_seconds: int = 20
    keep_days: Mapping[str, int] = field(default_factory=dict)  # by table; what is not there stays


class _Server(uvicorn.Server):
    """uvicorn, which first ends the long polls: it would wait for them otherwise."""

    def __init__(self, config: uvicorn.Config, *, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        """SIGTERM or SIGINT; a second SIGINT does not wait for what is under way.

        uvicorn's own handler raises the signal again after its shutdown, which would end the
        process before ours.
        """
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self._on_exit()


async def serve(settings: ApiSettings, *, by: Gatekeeper | None = None) -> None:
    """Run until SIGTERM; then answer what is under way, write what was taken, and return.

    `by` None: Kubernetes tells who is asking. Raises NoClusterError where there is none.
    """
    services = _services(settings)
    loop = asyncio.get_running_loop()

    def end_polls() -> None:
        loop.call_soon_threadsafe(services.close_polls)

    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(await connect(kubeconfig=settings.kubeconfig))
        # One connection per watch, and some for lists.
        api.configuration.connection_pool_maxsize = 16
        # Apart from the watches: a burst of reviews must not hold up a list.
        reviews = await stack.enter_async_context(await connect(kubeconfig=settings.kubeconfig))
        server = _Server(
            _listening(
                create_app(
                    services=services,
                    by=by or gatekeeper(reviews, settings=settings, noted=services.reviews),
                ),
                settings,
            ),
            on_exit=end_polls,
        )
        await _informed(server, services, reflect(services, api=api, settings=settings))


def _services(settings: ApiSettings) -> Services:
    return assemble(
        pool=make_pool(settings.database_url, application="learnops-api"),
        clock=SystemClock(),
        ttl_seconds=settings.ttl_seconds,
        keep_days=settings.keep_days,
        keep_series_seconds=settings.keep_series_seconds,
    )


def _listening(app: FastAPI, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="none",
        http=patient(Patience(connections=most_connections())),  # type: ignore[arg-type]
        ws="none",
        backlog=BACKLOG,
        # Its own handlers would write the traceback of a bug as it is: ours masks it.
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )


async def _informed(server: _Server, services: Services, reflectors: list[Reflector]) -> None:
    """Serve for as long as the reflectors and the background loops keep the state fresh."""

    def end(_ended: object = None) -> None:
        server.handle_exit(signal.SIGTERM, None)

    watches = [asyncio.create_task(reflector.run()) for reflector in reflectors]
    for watch in watches:
        watch.add_done_callback(end)
    services.loops.on_end = end
    try:
        _spare_the_collector()
        sys.setswitchinterval(_SWITCH_SECONDS)
        await server.serve()
        services.loops.check()
        # Deaf and still answering would be the worst: a watch that ended is a bug, and ends us.
        for watch in watches:
            if watch.done():
                watch.result()
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


def gatekeeper(api: ApiClient, *, settings: ApiSettings, noted: Reviews) -> Gatekeeper:
    """Kubernetes' own, asked once for what is asked often; `noted` is told how that went."""
    rest = RestClient(api=api, timeout_seconds=REVIEW_SECONDS)
    return RememberingGatekeeper(
        NotedGatekeeper(KubeGatekeeper(rest=rest, audience=settings.audience), reviews=noted),
        clock=SystemClock(),
        ttl_seconds=settings.access_seconds,
    )


def _spare_the_collector() -> None:
    """Let the cycle collector look at less and less often: it took a third of each run's time.

    What is there now, modules and routes above all, stays until the end. Of what requests make
    hardly anything is in a cycle, and a batch alone makes thousands of objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def reflect(services: Services, *, api: ApiClient, settings: ApiSettings) -> list[Reflector]:
    """The reflectors that feed the services' state."""
    state = services.state
    sinks: list[tuple[str, Source, Sink]] = []
    for kind, objects in (
        ("doers", state.doers),
        ("policies", state.policies),
        ("canarydeployments", state.canaries),
    ):
        for namespace in settings.namespaces or ("",):
            within = f"/namespaces/{namespace}" if namespace else ""
            source = Source(path=f"/apis/{GROUP}/{VERSION}{within}/{kind}")
            sinks.append((f"{kind}{within}", source, objects.within(namespace)))
    if settings.ttl_seconds is not None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{settings.lease_namespace}/leases"
        lease = Source(path=path, field_selector=f"metadata.name={settings.lease_name}")
        sinks.append(("lease", lease, services.heartbeat))
    reflectors = [Reflector(api=api, source=source, sink=sink) for _kind, source, sink in sinks]
    services.watches.silent = {
        kind: reflector.silent_seconds
        for (kind, _source, _sink), reflector in zip(sinks, reflectors, strict=True)
    }
    services.watches.synced = {
        kind: reflector.synced.is_set
        for (kind, _source, _sink), reflector in zip(sinks, reflectors, strict=True)
    }
    return reflectors

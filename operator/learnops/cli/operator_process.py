"""The composition root of the operator: puts the parts together, runs them, takes them apart."""

import asyncio
import logging
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from kubernetes.aio import client

from learnops.adapters.clock import SystemClock
from learnops.adapters.gateway import GatewayRoute
from learnops.adapters.kube.connection import connect, credentials
from learnops.adapters.kube.discovery import missing_resources
from learnops.adapters.kube.events import EventRecorder
from learnops.adapters.kube.lease import Lease, LeaseConfig, LeaseLostError
from learnops.adapters.kube.rest import RestClient
from learnops.adapters.kube.writer import KubeWriter
from learnops.adapters.postgres.connection import Pool, make_pool
from learnops.adapters.postgres.figures import PostgresFigures
from learnops.adapters.postgres.runlog import PostgresRunLog
from learnops.adapters.postgres.terms import PostgresTerms
from learnops.adapters.postgres.wakeups import listen
from learnops.adapters.prometheus import PrometheusMetrics
from learnops.adapters.unconfigured import NoPrometheus
from learnops.app.metrics import OperatorMetrics
from learnops.cli.assembly import Application, Ports, assemble
from learnops.cli.operator_settings import OperatorSettings
from learnops.domain.observed import Key
from learnops.domain.planner import decide
from learnops.handlers.probes import Health, serve
from learnops.handlers.supervisor import GaveUpError, Supervisor
from learnops.handlers.watch import KopfSession
from learnops.ports.kube import KubeUnavailableError, RefusedError
from learnops.ports.metrics import Metrics

log = logging.getLogger(__name__)
# A Lease request that hangs must end before the Lease does.
_LEASE_REQUEST_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 2.0
# Many notifications of one doer become one pass.
_COALESCE_SECONDS = 0.05


async def run_operator(settings: OperatorSettings) -> int:
    """Run until told to stop. 0: stopped; 1: the Lease was lost, or the watch cannot be kept."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _process(settings) as process:
        running = asyncio.create_task(process.run(), name="operator")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        running.cancel()
        await asyncio.wait([running])
        code = 0 if running.cancelled() else _exit_code(running.exception())
        # Only after all work has ended: the successor begins at once.
        await process.lease.release()
    log.info("stopped", extra={"code": code})
    return code


def _exit_code(error: BaseException | None) -> int:
    known = (LeaseLostError, GaveUpError)
    found = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    for one in found:
        if isinstance(one, known):
            log.error("exit", extra={"error": str(one)})
        else:
            log.error("exit", exc_info=one, extra={"outcome": "Bug"})
    return 1


@dataclass(kw_only=True)
class _Process:
    """A running operator, from its start to the end of its Lease."""

    settings: OperatorSettings
    clock: SystemClock
    rest: RestClient
    lease: Lease
    health: Health
    application: Application
    fence: list[int]  # one number, known once the Lease is ours

    async def run(self) -> None:
        """Wait for the CRDs and the Lease, then work; raises when the work must end."""
        await self._wait_for_resources()
        self._enter("standby", ready=True)
        self.fence[0] = await self.lease.wait_for(seen_fence=self._seen_fence, sleep=self._turn)
        log.info("active", extra={"identity": self.settings.identity, "fence": self.fence[0]})
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_lease(), name="lease")
            group.create_task(self._work(), name="work")

    async def _work(self) -> None:
        session = Supervisor(
            session=self._session, clock=self.clock, sleep=asyncio.sleep, chance=random.random
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self.application.workers.run(), name="workers")
            group.create_task(session.run(), name="watch")
            group.create_task(self.application.resync.run(), name="resync")
            group.create_task(self.application.terms.run(), name="terms")
            group.create_task(listen(self.settings.database_url, wake=self._wake), name="wakeups")

    async def _session(self) -> BaseException | None:
        """One life of the watch, begun with a list: what was deleted meanwhile nobody tells."""
        await self._relist()
        self._enter("active", ready=True)
        login = partial(credentials, kubeconfig=self.settings.kubeconfig)
        return await KopfSession(
            receive=self.application.intake.receive,
            login=login,
            listed=self.application.resync.ask,
            namespaces=self.settings.namespaces,
        ).run()

    async def _keep_lease(self) -> None:
        await self.lease.keep(healthy=self.health.working, sleep=self._turn)

    async def _turn(self, seconds: float) -> None:
        """The pause between two looks at the Lease; each begins with a heartbeat."""
        self.health.beat()
        await asyncio.sleep(seconds)

    async def _seen_fence(self) -> int:
        """The highest fence on any object, freshly listed: the Lease may have been deleted."""
        await self.application.resync.once()
        return self.application.cache.highest_fence()

    async def _relist(self) -> None:
        """List all once there is something to list; a CRD may go while a list is refused."""
        while True:
            await self._wait_for_resources()
            try:
                await self.application.resync.once()
            except (KubeUnavailableError, RefusedError) as error:
                self._enter(f"waiting for a list of all objects ({error})", ready=False)
                log.warning("cannot list", extra={"error": str(error)})
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                continue
            for key in self.application.cache.keys():  # noqa: SIM118 - not a dict
                self.application.queue.add(key)
            return

    async def _wait_for_resources(self) -> None:
        while missing := await self._missing():
            self._enter(f"waiting for {', '.join(missing)}", ready=False)
            log.warning("waiting; are the CRDs installed?", extra={"missing": missing})
            await self._turn(_LOOK_AGAIN_SECONDS)

    async def _missing(self) -> list[str]:
        try:
            return await missing_resources(self.rest)
        except (KubeUnavailableError, RefusedError) as error:
            return [f"the API server ({error})"]

    def _wake(self, key: Key) -> None:
        if self.application.cache.knows(key):
            self.application.queue.add_after(key, seconds=_COALESCE_SECONDS)

    def _enter(self, phase: str, *, ready: bool) -> None:
        self.health.phase, self.health.ready = phase, ready


@asynccontextmanager
async def _process(settings: OperatorSettings) -> AsyncIterator[_Process]:
    clock, metrics = SystemClock(), OperatorMetrics(version=version("learnops"))
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(await connect(kubeconfig=settings.kubeconfig))
        pool = make_pool(settings.database_url, application="learnops-operator")
        await pool.open(wait=False)
        stack.push_async_callback(pool.close)
        prometheus = await _prometheus(stack, settings)
        lease = _lease(api, settings=settings, clock=clock, metrics=metrics)
        rest = RestClient(api=api, count=metrics.request)
        fence = [0]
        application = assemble(
            _ports(rest, settings=settings, clock=clock, pool=pool, prometheus=prometheus),
            decide=decide,
            metrics=metrics,
            fence=lambda: fence[0],
            may_act=lease.held,
            tick_seconds=settings.tick_seconds,
            concurrency=settings.workers,
            canaries_enabled="canaries" not in settings.disabled,
        )
        health = Health(clock=clock, oldest_seconds=application.queue.oldest_seconds)
        await _serve_probes(stack, settings=settings, health=health, metrics=metrics)
        yield _Process(
            settings=settings,
            clock=clock,
            rest=rest,
            lease=lease,
            health=health,
            application=application,
            fence=fence,
        )


async def _prometheus(stack: AsyncExitStack, settings: OperatorSettings) -> Metrics:
    if settings.prometheus_url is None:
        return NoPrometheus()
    asking = PrometheusMetrics(
        url=settings.prometheus_url, token_file=settings.prometheus_token_file
    )
    return await stack.enter_async_context(asking)


def _ports(
    rest: RestClient,
    *,
    settings: OperatorSettings,
    clock: SystemClock,
    pool: Pool,
    prometheus: Metrics,
) -> Ports:
    events = EventRecorder(rest=rest, clock=clock, instance=settings.identity)
    runlog = PostgresRunLog(pool)
    return Ports(
        clock=clock,
        kube=KubeWriter(rest=rest, events=events, namespaces=settings.namespaces),
        runlog=runlog,
        pairs=runlog,
        terms=PostgresTerms(pool),
        figures=PostgresFigures(pool),
        prometheus=prometheus,
        route=GatewayRoute(rest=rest),
    )


def _lease(
    api: client.ApiClient,
    *,
    settings: OperatorSettings,
    clock: SystemClock,
    metrics: OperatorMetrics,
) -> Lease:
    config = LeaseConfig(
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        identity=settings.identity,
        duration_seconds=settings.lease_seconds,
    )
    rest = RestClient(api=api, count=metrics.request, timeout_seconds=_LEASE_REQUEST_SECONDS)
    return Lease(rest=rest, clock=clock, config=config)


async def _serve_probes(
    stack: AsyncExitStack,
    *,
    settings: OperatorSettings,
    health: Health,
    metrics: OperatorMetrics,
) -> None:
    serving = serve(
        health=health,
        registry=metrics.registry,
        host=settings.probe_host,
        port=settings.probe_port,
    )
    port = await stack.enter_async_context(serving)
    log.info("probes", extra={"address": f"http://{settings.probe_host}:{port}"})
    watching = asyncio.create_task(health.watch_lag(), name="lag")
    stack.callback(watching.cancel)

"""A TLS proxy before the real API server that does to its clients what networks and servers do.

It listens on loopback with the API server's own certificate, so that a client differs only in the
port of its kubeconfig. It keeps an account of each request, in the words of RBAC.
"""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import aiohttp
from aiohttp import web

from testbed.controlplane import ControlPlane
from testbed.credentials import write_kubeconfig
from testbed.errors import TestbedError
from testbed.faults import Answer, Broken, Fault, OpenWatch, Reset, Rule, Slow
from testbed.kuberequest import KubeRequest, read_request
from testbed.ports import LOOPBACK, free_port

_UP = ("Authorization", "Content-Type", "Accept", "Accept-Encoding", "User-Agent")
_DOWN = ("Content-Type", "Content-Encoding", "Retry-After")
_START_SECONDS = 60
_UPSTREAM = web.AppKey("upstream", aiohttp.ClientSession)


class FaultProxy:
    """Entered, it serves; ``kubeconfig`` is the given one, through this proxy.

    Faults are chosen by `fault` for requests to come and on `watches` for streams that are open.
    """

    def __init__(self, plane: ControlPlane, kubeconfig: Path) -> None:
        self._plane = plane
        self._port = free_port()
        self.kubeconfig = self._through(kubeconfig)
        self._rules: list[Rule] = []
        self._log: list[tuple[KubeRequest, int]] = []
        self._watches: list[OpenWatch] = []
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def fault(
        self,
        fault: Fault,
        *,
        verb: str | None = None,
        resource: str | None = None,
        times: int = 1,
    ) -> Rule:
        """Do this to the next ``times`` matching requests; the first rule that fits has it."""
        rule = Rule(fault=fault, verb=verb, resource=resource, times=times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """No faults for requests to come; open watches stay as they are."""
        with self._lock:
            self._rules.clear()

    def watches(self, resource: str) -> list[OpenWatch]:
        """The open watches of a resource that still speak, oldest first."""
        with self._lock:
            found = list(self._watches)
        return [one for one in found if one.request.resource == resource and not _mute(one)]

    def answered(self) -> list[tuple[KubeRequest, int]]:
        """Each request with its status, in the order of the answers; 0: there was none."""
        with self._lock:
            return list(self._log)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise TestbedError(f"the fault proxy does not listen on port {self._port}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=_START_SECONDS)
        if self._thread.is_alive():
            raise TestbedError("the fault proxy does not end")

    def _through(self, kubeconfig: Path) -> Path:
        user = json.loads(kubeconfig.read_text())["users"][0]
        return write_kubeconfig(
            kubeconfig.with_name(f"proxy-{self._port}.kubeconfig"),
            url=f"https://{LOOPBACK}:{self._port}",
            ca=self._plane.ca_file.read_bytes(),
            user=user["name"],
            token=user["user"]["token"],
        )

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        trusting = ssl.create_default_context(cafile=str(self._plane.ca_file))
        connector = aiohttp.TCPConnector(ssl=trusting, limit=0)
        endless = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            self._plane.url, connector=connector, timeout=endless, auto_decompress=False
        ) as upstream:
            application = web.Application(client_max_size=16 * 2**20)
            application[_UPSTREAM] = upstream
            application.router.add_route("*", "/{path:.*}", self._handle)
            # A client that hangs up ends its request here and at the API server.
            runner = web.AppRunner(
                application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
            )
            await runner.setup()
            certificate = self._plane.ca_file
            serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            serving.load_cert_chain(certificate, certificate.with_suffix(".key"))
            site = web.TCPSite(runner, LOOPBACK, self._port, ssl_context=serving)
            await site.start()
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        asked = read_request(incoming.method, incoming.path, incoming.query, at=time.monotonic())
        with self._lock:
            rule = next((one for one in self._rules if one.take(asked)), None)
        status = 0
        try:
            answer = await self._answer(incoming, asked, None if rule is None else rule.fault)
            status = answer.status
        finally:
            # A watch was accounted for when it began.
            if asked.verb != "watch" or status != 200:
                self._account(asked, status)
        return answer

    async def _answer(
        self, incoming: web.Request, asked: KubeRequest, fault: Fault | None
    ) -> web.StreamResponse:
        if isinstance(fault, Answer):
            return web.Response(
                status=fault.status,
                body=fault.body(),
                headers={"Content-Type": "application/json", **fault.headers},
            )
        if fault == Reset(after=False):
            return _reset(incoming)
        body = await incoming.read()
        async with incoming.app[_UPSTREAM].request(
            incoming.method,
            incoming.rel_url,
            data=body or None,
            headers={name: incoming.headers[name] for name in _UP if name in incoming.headers},
        ) as told:
            if asked.verb == "watch" and told.status == 200:
                return await self._stream(incoming, asked, told)
            return await _hand_back(incoming, told, fault)

    async def _stream(
        self, incoming: web.Request, asked: KubeRequest, told: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        self._account(asked, told.status)
        response = web.StreamResponse(status=told.status, headers=_headers(told))
        await response.prepare(incoming)
        with self._registered(asked) as watch:
            pumping = asyncio.create_task(_pump(told, response, watch))
            ending = asyncio.create_task(watch.ended())
            try:
                await asyncio.wait([pumping, ending], return_when=asyncio.FIRST_COMPLETED)
            finally:
                pumping.cancel()
                ending.cancel()
            if not ending.done():
                return response
            words = ending.result()
            if words is None:
                return _reset(incoming)
            await response.write(words)
        return response

    @contextlib.contextmanager
    def _registered(self, asked: KubeRequest) -> Iterator[OpenWatch]:
        watch = OpenWatch(asked)
        with self._lock:
            self._watches.append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches.remove(watch)

    def _account(self, asked: KubeRequest, status: int) -> None:
        with self._lock:
            self._log.append((asked, status))


async def _hand_back(
    incoming: web.Request, told: aiohttp.ClientResponse, fault: Fault | None
) -> web.StreamResponse:
    data = await told.read()
    match fault:
        case Slow():
            await asyncio.sleep(fault.seconds)
        case Reset():
            return _reset(incoming)
        case Broken():
            data = data[: len(data) // 2]
    return web.Response(status=told.status, body=data, headers=_headers(told))


async def _pump(
    told: aiohttp.ClientResponse, response: web.StreamResponse, watch: OpenWatch
) -> None:
    async for chunk in told.content.iter_any():
        if watch.silent.is_set():
            watch.swallowed += len(chunk)
        else:
            await response.write(chunk)
    if watch.silent.is_set():
        await asyncio.Event().wait()  # not even the end is heard; the client hangs up at last


def _headers(told: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: told.headers[name] for name in _DOWN if name in told.headers}


def _reset(incoming: web.Request) -> web.Response:
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response(status=499)  # nobody will read it


def _mute(watch: OpenWatch) -> bool:
    return watch.silent.is_set()

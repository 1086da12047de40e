"""List and watch one kind of object, for ever; what is seen goes to a sink.

The objects in the sink are at most as old as the last sign of life: when the watch breaks they stay
as they were, and whoever depends on their freshness judges that by an object that changes all the
time (the operator's Lease).
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias

import aiohttp
from kubernetes.aio import client

from learnops.domain.backoff import Delays

log = logging.getLogger(__name__)

Object = dict[str, Any]
ApiClient: TypeAlias = client.ApiClient  # for those who may not know the Kubernetes client

PAGE: Final = 500
# A larger line is no object that the API server would store (etcd's limit is 1.5 MiB).
_MAX_LINE_BYTES: Final = 8 * 1024 * 1024
_DELAYS: Final = Delays(first_seconds=0.2, most_seconds=15.0)
_HASTY_SECONDS: Final = 1.0  # a watch that ends sooner was not really held


class Sink(Protocol):
    """What takes the objects; each call must be quick and must not raise."""

    def replace(self, objects: list[Object]) -> None:
        """All that exist now; what is not among them is gone."""

    def put(self, item: Object) -> None:
        """One that was made or changed."""

    def drop(self, item: Object) -> None:
        """One that was deleted, in its last state."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which objects: a collection's path, and a field selector ("" for all)."""

    path: str
    field_selector: str = ""


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """Times, in seconds. The server ends a watch by itself before it counts as stalled."""

    request: float = 30.0
    watch: float = 45.0
    stall: float = 60.0
    delays: Delays = _DELAYS


class _WatchEndedError(Exception):
    """The stream broke, answered nonsense or fell silent; connect again."""


class _RelistError(Exception):
    """410: the version is no longer known; list again."""


class Reflector:
    """Feeds one sink. `run` ends only by cancellation."""

    def __init__(
        self,
        *,
        api: ApiClient,
        source: Source,
        sink: Sink,
        tempo: Tempo | None = None,
    ) -> None:
        self._api = api
        self._source = source
        self._sink = sink
        self._tempo = tempo or Tempo()
        self.synced = asyncio.Event()  # set once the first list arrived
        self._heard_at: float | None = None  # on the event loop's clock, which this is:
        self._time: Callable[[], float] = lambda: 0.0

    async def run(self) -> None:
        """List, then watch from there; again after every failure, with jittered back-off."""
        version: str | None = None
        failures = 0
        while True:
            try:
                if version is None:
                    version = await self._list()
                began = asyncio.get_running_loop().time()
                async for seen in self._watch(version):
                    version, failures = seen, 0
                if asyncio.get_running_loop().time() - began < _HASTY_SECONDS:
                    raise _WatchEndedError("it ended as soon as it began")
                failures = 0
                continue
            except _RelistError:
                self._note("its version is no longer known")
                version = None
            except (_WatchEndedError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self._note(str(error) or type(error).__name__)
            # Also before a new list: answers that are always 410 must not become a busy loop.
            failures += 1
            chance = random.random()  # noqa: S311 - jitter, no secret
            await asyncio.sleep(self._tempo.delays.after(failures, chance=chance))

    def silent_seconds(self) -> float | None:
        """Since the API server last told anything; None: it never did. Up to about 45 s of a
        healthy watch: so long it may have nothing to tell."""
        if self._heard_at is None:
            return None
        return self._time() - self._heard_at

    def _heard(self) -> None:
        # Kept, because whoever asks for the silence may be in another thread.
        self._time = asyncio.get_running_loop().time
        self._heard_at = self._time()

    def _note(self, what: str) -> None:
        log.warning("watch of %s: %s", self._source.path, what)

    async def _list(self) -> str:
        objects: list[Object] = []
        token = ""
        while True:
            query = {"limit": str(PAGE)} | ({"continue": token} if token else {})
            async with asyncio.timeout(self._tempo.request):
                response = await self._get(query)
                try:
                    page = _json(await response.read())
                finally:
                    response.release()
            metadata = _part(page, "metadata")
            objects += page.get("items") or []
            token = metadata.get("continue") or ""
            if not token:
                break
        if not metadata.get("resourceVersion"):
            raise _WatchEndedError("a list without resourceVersion")
        self._sink.replace(objects)
        self.synced.set()
        return str(metadata["resourceVersion"])

    async def _watch(self, version: str) -> AsyncIterator[str]:
        """Yield the version after each event, until the server ends the watch."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(self._tempo.watch))),
        }
        async with asyncio.timeout(self._tempo.request):
            response = await self._get(query)
        try:
            async for line in _lines(response, stall=self._tempo.stall):
                yield self._take(_json(line))
        finally:
            response.close()

    def _take(self, event: Object) -> str:
        self._heard()
        kind, item = event.get("type"), _part(event, "object")
        if kind == "ERROR":
            if item.get("code") in (HTTPStatus.GONE, HTTPStatus.GATEWAY_TIMEOUT):
                raise _RelistError
            raise _WatchEndedError(str(item.get("message", "an error event"))[:500])
        if kind in ("ADDED", "MODIFIED"):
            self._sink.put(item)
        elif kind == "DELETED":
            self._sink.drop(item)
        version = _part(item, "metadata").get("resourceVersion")
        if not version:
            raise _WatchEndedError("an event without resourceVersion")
        return str(version)

    async def _get(self, query: dict[str, str]) -> aiohttp.ClientResponse:
        if self._source.field_selector:
            query = query | {"fieldSelector": self._source.field_selector}
        request = await self._api.param_serialize(
            "GET",
            self._source.path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        # Deadlines are set around this call: the client's own would end a healthy watch.
        none = aiohttp.ClientTimeout(total=None)
        sent = await self._api.call_api(*request, _request_timeout=none)
        response: aiohttp.ClientResponse = sent.response
        if response.status == HTTPStatus.GONE:
            response.release()
            raise _RelistError
        if response.status != HTTPStatus.OK:
            told = (await response.text())[:500]
            raise _WatchEndedError(f"{response.status} {told}")
        self._heard()
        return response


async def _lines(response: aiohttp.ClientResponse, *, stall: float) -> AsyncIterator[bytes]:
    buffer = b""
    while True:
        async with asyncio.timeout(stall):
            chunk = await response.content.readany()
        if not chunk:
            return
        *whole, buffer = (buffer + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(buffer) > _MAX_LINE_BYTES:
            raise _WatchEndedError(f"a line of over {_MAX_LINE_BYTES} bytes")


def _json(data: bytes) -> Object:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _WatchEndedError("an answer that is not JSON") from error
    if not isinstance(parsed, dict):
        raise _WatchEndedError("an answer that is no JSON object")
    return parsed


def _part(whole: Object, name: str) -> Object:
    part = whole.get(name) or {}
    if not isinstance(part, dict):
        raise _WatchEndedError(f"an answer whose {name} is no object")
    return part

"""List and watch one kind of object, for ever; what is seen goes to a sink.

The objects in the sink are at most as old as the last sign of life: when the watch breaks they stay
as they were, and whoever depends on their freshness judges that by an object that changes all the
time (the operator's Lease).
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias

import aiohttp
from kubernetes.aio import client

log = logging.getLogger(__name__)

Object = dict[str, Any]
ApiClient: TypeAlias = client.ApiClient  # for those who may not know the Kubernetes client

PAGE: Final = 500
# A larger line is no object that the API server would store (etcd's limit is 1.5 MiB).
_MAX_LINE_BYTES: Final = 8 * 1024 * 1024


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
    backoff_first: float = 0.2
    backoff_limit: float = 15.0


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
        self.connected = False  # whether the last request was answered

    async def run(self) -> None:
        """List, then watch from there; again after every failure, with jittered back-off."""
        version: str | None = None
        failures = 0
        while True:
            try:
                if version is None:
                    version = await self._list()
                    failures = 0
                async for seen in self._watch(version):
                    version, failures = seen, 0
            except _RelistError:
                version = None
            except (_WatchEndedError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self.connected = False
                log.warning("watch of %s: %s", self._source.path, error or type(error).__name__)
                await asyncio.sleep(self._pause(failures))
                failures += 1

    def _pause(self, failures: int) -> float:
        limit = min(self._tempo.backoff_first * 2.0 ** min(failures, 16), self._tempo.backoff_limit)
        return random.uniform(limit / 2, limit)  # noqa: S311 - jitter, no secret

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
            objects += page.get("items") or []
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                break
        self._sink.replace(objects)
        self.synced.set()
        return str(page["metadata"]["resourceVersion"])

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
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            if item.get("code") in (HTTPStatus.GONE, HTTPStatus.GATEWAY_TIMEOUT):
                raise _RelistError
            raise _WatchEndedError(str(item.get("message", "an error event"))[:500])
        if kind in ("ADDED", "MODIFIED"):
            self._sink.put(item)
        elif kind == "DELETED":
            self._sink.drop(item)
        version = item.get("metadata", {}).get("resourceVersion")
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
        self.connected = True
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
    except ValueError as error:
        raise _WatchEndedError("an answer that is not JSON") from error
    if not isinstance(parsed, dict):
        raise _WatchEndedError("an answer that is no JSON object")
    return parsed

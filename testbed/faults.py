"""What a `FaultProxy` can do to requests and to open watches."""

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.kuberequest import KubeRequest


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The API server is not asked; this is what the client hears."""

    status: int
    message: str = "a fault of the test"
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """A Status object, as the API server would write it."""
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status}
        return json.dumps({**told, "message": self.message}).encode()


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Half of the API server's answer, as if it were whole: JSON without its end."""


@dataclass(frozen=True, kw_only=True)
class Reset:
    """The connection is reset: before the API server is asked, or when it has done its work."""

    after: bool = False


@dataclass(frozen=True, kw_only=True)
class Slow:
    """The answer comes ``seconds`` after the API server gave it; what happens meanwhile is told."""

    seconds: float


Fault = Answer | Broken | Reset | Slow


@dataclass(kw_only=True)
class Rule:
    """A fault for the next ``times`` requests of a verb on a resource (None: any).

    ``met`` are the requests that it met so far.
    """

    fault: Fault
    verb: str | None
    resource: str | None
    times: int
    met: list[KubeRequest] = field(default_factory=list)

    @property
    def spent(self) -> bool:
        """Whether it met all that it was for."""
        return len(self.met) >= self.times

    def take(self, request: KubeRequest) -> bool:
        """Whether it is for this request, which counts as met then."""
        fits = self.verb in (None, request.verb) and self.resource in (None, request.resource)
        if fits and not self.spent:
            self.met.append(request)
            return True
        return False


class OpenWatch:
    """A watch that passes through the proxy; its methods may be called from any thread."""

    def __init__(self, request: KubeRequest) -> None:
        self.request = request
        self.silent = threading.Event()
        self.swallowed = 0  # bytes that the API server sent and the client did not get
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[bytes | None] = self._loop.create_future()

    def stall(self) -> None:
        """From now on the client hears nothing, and the connection stays open."""
        self.silent.set()

    def gone(self) -> None:
        """The client is told 410 in an ERROR event: its resourceVersion is too old."""
        status = json.loads(Answer(status=410, message="too old resource version").body())
        self._finish(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")

    def truncate(self) -> None:
        """The stream ends in the middle of an event."""
        self._finish(b'{"type":"MODIFIED","object":{"kind":"Doer","metadata":{"na')

    def reset(self) -> None:
        """The connection is reset."""
        self._finish(None)

    async def ended(self) -> bytes | None:
        """The last words to the client, None for none at all, once somebody ends the watch."""
        return await self._end

    def _finish(self, words: bytes | None) -> None:
        self._loop.call_soon_threadsafe(self._settle, words)

    def _settle(self, words: bytes | None) -> None:
        if not self._end.done():
            self._end.set_result(words)

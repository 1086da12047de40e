"""A small HTTP load generator: requests as ready bytes, answers by their announced length.

It shares the machine's cores with what it measures; it costs about 50 microseconds a request.
In an open loop a request's time counts from when it was due, not from when it was sent: a server
that stalls makes all that were due meanwhile late.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

Payload = Callable[[int], bytes]  # the n-th request, whole
Ask = Callable[[bytes], Awaitable[tuple[int, bytes]]]  # a request; the answer's status and body
Script = Callable[[Ask, int], Awaitable[int]]  # the n-th of several requests in turn; a status


@dataclass(kw_only=True)
class Load:
    """What came back: seconds per request that succeeded, and how many did not."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Successful requests per second."""
        return len(self.seconds) / self.elapsed if self.elapsed else 0.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """An HTTP server, and the token that opens it."""

    host: str
    port: int
    token: str

    @classmethod
    def of(cls, url: str, *, token: str) -> "Target":
        """From http://host:port."""
        host, port = url.removeprefix("http://").rsplit(":", 1)
        return cls(host=host, port=int(port), token=token)

    def request(
        self, method: str, path: str, *, body: bytes = b"", kind: str = "application/json"
    ) -> bytes:
        """A whole request."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}"
            f"\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def closed_loop(target: Target, payload: Payload, *, connections: int, seconds: float) -> Load:
    """Each connection asks again as soon as it was answered, for so many seconds."""

    async def one(ask: Ask, number: int) -> int:
        status, _body = await ask(payload(number))
        return status

    return asyncio.run(_closed(target, one, connections, seconds))


def closed_scripts(target: Target, script: Script, *, connections: int, seconds: float) -> Load:
    """The same where one thing takes several requests: a time is that of all of them."""
    return asyncio.run(_closed(target, script, connections, seconds))


def open_loop(
    target: Target, payload: Payload, *, rate: float, seconds: float, connections: int = 32
) -> Load:
    """``rate`` requests a second at fixed times, whatever the answers do."""
    return asyncio.run(_open(target, payload, rate, seconds, connections))


async def _closed(target: Target, script: Script, connections: int, seconds: float) -> Load:
    load, numbers = Load(), itertools.count()
    began = time.perf_counter()

    async def work() -> None:
        connection = await _Connection.open(target)
        while time.perf_counter() - began < seconds:
            sent = time.perf_counter()
            status = await script(connection.ask, next(numbers))
            _note(load, status, time.perf_counter() - sent)
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    load.elapsed = time.perf_counter() - began
    return load


async def _open(
    target: Target, payload: Payload, rate: float, seconds: float, connections: int
) -> Load:
    load, numbers = Load(), iter(range(round(rate * seconds)))
    began = time.perf_counter() + 0.05

    async def work(numbers: Iterator[int]) -> None:
        connection = await _Connection.open(target)
        for number in numbers:
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            status, _body = await connection.ask(payload(number))
            _note(load, status, time.perf_counter() - due)
        connection.close()

    await asyncio.gather(*(work(numbers) for _ in range(connections)))
    load.elapsed = time.perf_counter() - began
    return load


def _note(load: Load, status: int, seconds: float) -> None:
    if 200 <= status < 300:
        load.seconds.append(seconds)
    else:
        load.failed += 1


@dataclass(frozen=True, kw_only=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, target: Target) -> "_Connection":
        reader, writer = await asyncio.open_connection(target.host, target.port)
        return cls(reader=reader, writer=writer)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The answer's status and body."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length: ")
        size = int(rest.partition(b"\r\n")[0]) if rest else 0
        return int(head[9:12]), await self.reader.readexactly(size)

    def close(self) -> None:
        self.writer.close()

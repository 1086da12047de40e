"""A small HTTP load generator: requests as ready bytes, answers by their length alone.

It shares the machine's cores with what it measures; it costs about 50 microseconds a request.
In an open loop a request's time counts from when it was due, not from when it was sent: a server
that stalls makes all that were due meanwhile late.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Payload = Callable[[int], bytes]  # the n-th request, whole


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
    return asyncio.run(_closed(target, payload, connections, seconds))


def open_loop(
    target: Target, payload: Payload, *, rate: float, seconds: float, connections: int = 32
) -> Load:
    """``rate`` requests a second at fixed times, whatever the answers do."""
    return asyncio.run(_open(target, payload, rate, seconds, connections))


async def _closed(target: Target, payload: Payload, connections: int, seconds: float) -> Load:
    load, numbers = Load(), itertools.count()
    began = time.perf_counter()

    async def work() -> None:
        connection = await _Connection.open(target)
        while time.perf_counter() - began < seconds:
            request = payload(next(numbers))
            sent = time.perf_counter()
            _note(load, await connection.ask(request), time.perf_counter() - sent)
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
            _note(load, await connection.ask(payload(number)), time.perf_counter() - due)
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

    async def ask(self, request: bytes) -> int:
        """The answer's status; its body is read and dropped."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        _, _, rest = lowered.partition(b"content-length: ")
        if rest:
            await self.reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return int(head[9:12])

    def close(self) -> None:
        self.writer.close()

"""How long a connection may take, and how much it may say, before anybody knows whose it is.

The server beneath us waits for ever for a head and for an answer to be taken, keeps a head however
long it is, and goes on reading a body that was refused: a caller without a token could keep
connections until nobody else gets one.
"""

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
HEAD_BYTES: Final = 64 * 1024
TAKE_SECONDS: Final = 30.0
BACKLOG: Final = 256
# Open files that are no connections of callers: the database, Kubernetes, the log, and what is
# accepted at one go before any of it is counted.
_OTHER_FILES: Final = 256 + BACKLOG


@dataclass(frozen=True, kw_only=True)
class Patience:
    """The bounds of one connection, and of all together.

    Attributes:
        head_seconds: from its opening, or from its last answer, to the end of the next head; what
            is left of a refused body comes within it too.
        head_bytes: of a head, or of trailers; what one read brings may be beyond it.
        take_seconds: for a caller to take what was written to it.
        connections: at most; the one that has waited longest makes room for a new one.
    """

    head_seconds: float = HEAD_SECONDS
    head_bytes: int = HEAD_BYTES
    take_seconds: float = TAKE_SECONDS
    connections: int


def most_connections() -> int:
    """As many as this process may have files open, less what it needs itself."""
    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(files - _OTHER_FILES, files // 2)


class _Forgiving:
    """A transport to which nothing is written once it is closed, where uvloop raises an error.

    Of requests that came together the server tells the last alone that their caller has hung up:
    the answer to one before it would look like a bug of ours.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """As the transport's own, while it is open."""
        if not self._transport.is_closing():
            self._transport.write(data)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 within `Patience`.

    While a request is being answered only `take_seconds` holds: `BodyLimit` and `Deadline` bound
    the rest. `waiting` has the connections from which a head is awaited, the oldest first.
    """

    def __init__(
        self,
        *given: Any,
        patience: Patience,
        waiting: dict["PatientProtocol", None],
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self._patience = patience
        self._waiting = waiting
        self._silence: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._outside = 0  # bytes of the present message that are none of its body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller, for whom there is room or room is made."""
        super().connection_made(transport)
        self.transport = _Forgiving(transport)  # type: ignore[assignment]
        if len(self.connections) > self._patience.connections:
            leaving = next(iter(self._waiting), self)  # itself where all are being answered
            leaving.transport.abort()
            self._waiting.pop(leaving, None)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._head_is_here()
        _cancel(self._untaken)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes, of which the parser keeps those of a head however many they are."""
        self._outside += len(data)
        super().data_received(data)
        if self._outside > self._patience.head_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a request. What was read with it may be of the one before."""
        self._outside = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """What follows has its own bounds."""
        self._head_is_here()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body. It pays for as much again: small chunks are mostly framing."""
        self._outside = max(self._outside - 2 * len(body), 0)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """An answer is written; the next request may be here already."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._expect_head()

    def pause_writing(self) -> None:
        """The caller does not take what is written as quickly as it asks for it."""
        super().pause_writing()
        _cancel(self._untaken)
        self._untaken = self.loop.call_later(self._patience.take_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        _cancel(self._untaken)
        super().resume_writing()

    def _expect_head(self) -> None:
        self._head_is_here()
        self._waiting[self] = None
        seconds = self._patience.head_seconds
        self._silence = self.loop.call_later(seconds, self._lose_patience)

    def _head_is_here(self) -> None:
        self._waiting.pop(self, None)
        _cancel(self._silence)

    def _lose_patience(self) -> None:
        """Close; and where the end of an answer is not even taken then, break off."""
        if self.transport.is_closing():
            self.transport.abort()
            return
        self.transport.close()
        self._expect_head()


def patient(patience: Patience) -> Callable[..., PatientProtocol]:
    """The protocol of one server, for uvicorn to make one of for each connection."""
    return partial(PatientProtocol, patience=patience, waiting={})


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()

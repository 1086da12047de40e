"""How much may be under way: beyond it a request is refused before any of it is read.

Queues alone would not do. A request that waits in one holds its body, and whoever waits too long
sends everything again; so the door is shut early, and what is inside is done in good time.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from learnops.server.batching import Queue
from learnops.server.limits import limit_of
from learnops.server.problems import Problem, overloaded

_PATHS: Final = frozenset({"/v1/runs", "/v1/runs:batch", "/v1/shadows:report"})


@dataclass(frozen=True, kw_only=True)
class AdmissionLimits:
    """Nobody is let in while this much is inside; the last one in may go beyond it.

    Attributes:
        body_bytes: of bodies that are read or wait to be stored.
        runs: runs that wait to be stored; at 3,000 a second, so many make under two seconds.
    """

    body_bytes: int = 16 * 1024 * 1024
    runs: int = 5_000


class Admission:
    """Counts what is inside."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self._limits = limits or AdmissionLimits()
        self._body_bytes = 0
        self._runs = 0

    @property
    def queues(self) -> Mapping[str, Queue]:
        """For whoever watches: runs that wait to be stored, and bytes of the bodies inside."""
        return {
            "runs": Queue(waiting=lambda: self._runs, limit=self._limits.runs),
            "bodyBytes": Queue(waiting=lambda: self._body_bytes, limit=self._limits.body_bytes),
        }

    @contextmanager
    def body(self, size: int) -> Iterator[None]:
        """So many bytes come in until this ends. Raises Problem 429."""
        if self._body_bytes >= self._limits.body_bytes:
            raise overloaded()
        self._body_bytes += size
        try:
            yield
        finally:
            self._body_bytes -= size

    @contextmanager
    def runs(self, count: int) -> Iterator[None]:
        """So many runs are to be stored until this ends. Raises Problem 429."""
        if self._runs >= self._limits.runs:
            raise overloaded()
        self._runs += count
        try:
            yield
        finally:
            self._runs -= count


class Door:
    """ASGI middleware: 429 for a report whose body there is no room for; it is not read."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] not in _PATHS:
            await self._app(scope, receive, send)
            return
        try:
            with self._admission.body(_size(scope)):
                await self._app(scope, receive, send)
        except Problem as problem:
            await problem.response()(scope, receive, send)


def _size(scope: Scope) -> int:
    """As announced; where nothing is, as much as may come."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return limit_of(scope["path"])

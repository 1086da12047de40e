"""How much may be under way: beyond it a request is refused before more of it is read.

Queues alone would not do. A request that waits in one holds its body, and whoever waits too long
sends everything again; so the door is shut early, and what is inside is done in good time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from learnops.server.batching import Queue
from learnops.server.gate import whose
from learnops.server.problems import Problem, overloaded

_REPORTS: Final = frozenset({"/v1/runs", "/v1/runs:batch", "/v1/shadows:report"})


@dataclass(frozen=True, kw_only=True)
class AdmissionLimits:
    """Nobody is let in while this much is inside; the last one in may go beyond it.

    Of bytes a namespace is let in while it has less than half, so that one alone cannot keep all
    others out.

    Attributes:
        report_bytes: of reports that have arrived and are not answered. Four of the longest: one
            sender that stalls leaves room for the others.
        other_bytes: of all other bodies. Apart, as reports must not keep registrations out.
        runs: runs that wait to be stored; at 3,000 a second, so many make under two seconds.
    """

    report_bytes: int = 64 * 1024 * 1024
    other_bytes: int = 16 * 1024 * 1024
    runs: int = 5_000


class Admission:
    """Counts what is inside."""

    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self._limits = limits or AdmissionLimits()
        self._reports = _Room(self._limits.report_bytes)
        self._others = _Room(self._limits.other_bytes)
        self._runs = 0

    @property
    def queues(self) -> Mapping[str, Queue]:
        """For whoever watches: runs that wait to be stored, and bytes of the bodies inside."""
        return {
            "runs": Queue(waiting=lambda: self._runs, limit=self._limits.runs),
            "bodyBytes": self._reports.queue,
            "otherBodyBytes": self._others.queue,
        }

    @contextmanager
    def body(self, path: str, *, whose: str) -> Iterator["Arriving"]:
        """What arrives of a body holds room until this ends. Raises Problem 429.

        Args:
            path: of the request.
            whose: the namespace that it counts for.
        """
        arriving = Arriving(self._reports if path in _REPORTS else self._others, whose=whose)
        arriving.enter()
        try:
            yield arriving
        finally:
            arriving.leave()

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


class _Room:
    """Bytes that are inside, and how many may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._by_whom: Counter[str] = Counter()

    def is_full(self, whose: str, *, own: int) -> bool:
        """Whether others of all, or of the same, leave no room for one that holds `own`."""
        all_full = self.held - own >= self.limit
        return all_full or self._by_whom[whose] - own >= self.limit / 2

    def add(self, size: int, *, whose: str) -> None:
        """So many bytes more; fewer where it is negative."""
        self.held += size
        self._by_whom[whose] += size
        if not self._by_whom[whose]:
            del self._by_whom[whose]

    @property
    def queue(self) -> Queue:
        return Queue(waiting=lambda: self.held, limit=self.limit)


class Arriving:
    """One body. Only what has arrived counts: an announcement costs its sender nothing."""

    def __init__(self, room: _Room, *, whose: str) -> None:
        self._room = room
        self._whose = whose
        self._own = 0

    def enter(self) -> None:
        """Raises Problem 429 while the others fill the room.

        The others alone: whoever is in last may always end, so that something does get done.
        """
        if self._room.is_full(self._whose, own=self._own):
            raise overloaded()

    def add(self, size: int) -> None:
        """So many bytes more have arrived. Raises Problem 429 as `enter`; never for none."""
        if size:
            self.enter()
        self._own += size
        self._room.add(size, whose=self._whose)

    def leave(self) -> None:
        """The request has ended."""
        self._room.add(-self._own, whose=self._whose)
        self._own = 0


class Door:
    """ASGI middleware: 429 for a POST whose body there is no room for; no more of it is read."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            with self._admission.body(scope["path"], whose=whose(scope)) as arriving:
                await self._app(scope, _counted(receive, arriving=arriving), send)
        except Problem as problem:
            await problem.response()(scope, receive, send)


def _counted(receive: Receive, *, arriving: Arriving) -> Receive:
    async def counted() -> Message:
        message = await receive()
        try:
            arriving.add(len(message.get("body", b"")))
        except Problem as problem:
            # As an HTTPException: FastAPI answers 400 to anything else that reading a body raises.
            headers = {"Retry-After": str(problem.retry_after)}
            raise HTTPException(problem.status, problem.detail, headers) from None
        return message

    return counted

"""Bundles on disk before the agent goes on: what a killed process owed, the next one delivers."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from threading import Condition, Event, Thread

from learnops.client.frames import Record
from learnops.client.letters import DeadLetters, Letter
from learnops.client.parcel import Outlet, Parcel
from learnops.client.segment import Segment
from learnops.client.store import Store
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread

_MAX_GROUP = 256
_MAX_LETTERS = 1000
_NAME = "learnops-spool"
_WARNING = "spool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of a spool, in seconds.

    Attributes:
        wait_seconds: how long an agent waits at most until its record is on disk.
        rest_seconds: how long nothing is written after the disk refused a record.
        search_seconds: between two searches for what ended processes left.
    """

    wait_seconds: float
    rest_seconds: float = 5.0
    search_seconds: float = 30.0


class _State(Enum):
    QUEUED = auto()
    KEPT = auto()  # on disk, and on its way
    REFUSED = auto()  # by the disk
    ABANDONED = auto()  # the agent did not wait any longer and keeps it in memory


class _Ticket:
    """One record that waits to be written."""

    __slots__ = ("done", "record", "state")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.state = _State.QUEUED
        self.done = Event()


class Spool:
    """Writes records to disk in a thread of its own, and hands each to the outlet of its path.

    Agents wait for that thread, never for the disk: one that hangs costs the first of them
    `wait_seconds`, and the others nothing. Thread-safe.
    """

    def __init__(
        self,
        *,
        store: Store,
        letters: DeadLetters,
        pace: Pace,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._letters = letters
        self._outlets: dict[str, Outlet] = {}
        self._pace = pace
        self._telemetry = telemetry
        self._clock = clock
        self._changed = Condition()
        self._queue: deque[_Ticket] = deque()
        self._buried: deque[Letter] = deque()
        self._busy = 0  # tickets that are queued or being written
        self._backlog = 0  # records on disk alone
        self._on_disk = 0
        self._attention = False
        self._stalled = False
        self._closing = False
        self._rest_until: float | None = None
        self._thread: Thread | None = None

    @property
    def waiting(self) -> int:
        """Records that are still to be handed to an outlet."""
        return self._busy + self._backlog

    @property
    def on_disk(self) -> int:
        """Records on disk that are not settled, as of the last look."""
        return self._on_disk

    def attach(self, path: str, outlet: Outlet) -> None:
        """Where the records of a path go; before the start."""
        self._outlets[path] = outlet

    def start(self) -> None:
        """Begin to look for what ended processes left, if not begun yet."""
        if self._thread is None:
            with self._changed:
                self._ensure_thread()

    def keep(self, record: Record) -> bool:
        """Whether the record is on disk and on its way; False: the caller keeps it in memory."""
        with self._changed:
            if self._closing or self._stalled or self._is_resting() or not self._ensure_thread():
                return False
            ticket = _Ticket(record)
            self._queue.append(ticket)
            self._busy += 1
            self._changed.notify_all()
        if not ticket.done.wait(self._pace.wait_seconds):
            self._abandon(ticket)
        return ticket.state is _State.KEPT

    def settle(self, parcels: Sequence[Parcel]) -> None:
        """These are done with: stored by the api, or given up."""
        # No generator inside `any`: each parcel has to be settled.
        ended = [parcel.segment is not None and parcel.segment.settle(1) for parcel in parcels]
        with self._changed:
            if any(ended) or self._backlog:
                self._attention = True
                self._changed.notify_all()

    def bury(self, record: Record, *, reason: str) -> None:
        """Keep what was refused for good where a person finds it; call before it is settled."""
        with self._changed:
            if len(self._buried) >= _MAX_LETTERS:
                self._telemetry.count("dead_letters_dropped")
                return
            self._buried.append(Letter(record=record, reason=reason))
            self._ensure_thread()
            self._changed.notify_all()

    def stop(self) -> None:
        """Take nothing more, and read nothing more of what others left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end after `stop`."""
        if self._thread is not None:
            self._thread.join(timeout)

    def forget(self) -> None:
        """In a forked child: close the parent's files and locks, and touch nothing else."""
        self._store.forget()

    def _abandon(self, ticket: _Ticket) -> None:
        with self._changed:
            if ticket.state is not _State.QUEUED:
                return  # written in this very moment
            ticket.state = _State.ABANDONED
            self._busy -= 1
            self._stalled = True
        self._telemetry.count("spool_stalls")
        self._telemetry.warn(
            _WARNING, "the disk of the spool did not answer; bundles wait in memory meanwhile"
        )

    def _ensure_thread(self) -> bool:
        if self._thread is None and not self._closing:
            self._thread = start_thread(self._loop, name=_NAME, telemetry=self._telemetry)
        return self._thread is not None

    def _is_resting(self) -> bool:
        return self._rest_until is not None and self._clock() < self._rest_until

    def _loop(self) -> None:
        search_at = self._clock()
        while True:
            tickets, letters, closing = self._next(search_at)
            if tickets:
                self._write(tickets)
            for letter in letters:
                self._lay_down(letter)
            if not closing and self._clock() >= search_at:
                self._store.adopt()
                search_at = self._clock() + self._pace.search_seconds
            self._tend(closing=closing)
            if closing and not tickets and not letters:
                self._store.close()
                return

    def _next(self, search_at: float) -> tuple[list[_Ticket], list[Letter], bool]:
        with self._changed:
            self._changed.wait_for(
                lambda: self._queue or self._buried or self._attention or self._closing,
                timeout=max(search_at - self._clock(), 0.0),
            )
            self._attention = False
            size = min(len(self._queue), _MAX_GROUP)
            tickets = [self._queue.popleft() for _ in range(size)]
            letters = list(self._buried)
            self._buried.clear()
            return tickets, letters, self._closing

    def _write(self, tickets: Sequence[_Ticket]) -> None:
        records = [ticket.record for ticket in tickets]
        size = sum(len(record.body) for record in records)
        handed_on = not self._store.backlog and self._has_room(len(records), size)
        try:
            segment = self._store.write(records, loaded=handed_on)
        except OSError as error:
            self._refuse(tickets, error)
            return
        self._telemetry.count("bundles_spooled", len(tickets))
        self._telemetry.forget(_WARNING)
        kept = self._conclude(tickets, _State.KEPT)
        if handed_on:
            self._hand_on((ticket.record for ticket in kept), segment)
            segment.settle(len(tickets) - len(kept))
        self._release(tickets)

    def _refuse(self, tickets: Sequence[_Ticket], error: OSError) -> None:
        self._telemetry.count("spool_errors")
        self._telemetry.warn(
            _WARNING, "the spool cannot be written, bundles wait in memory: %s", error
        )
        with self._changed:
            self._rest_until = self._clock() + self._pace.rest_seconds
        self._conclude(tickets, _State.REFUSED)
        self._release(tickets)

    def _conclude(self, tickets: Sequence[_Ticket], state: _State) -> list[_Ticket]:
        """Those whose agents still wait for it."""
        with self._changed:
            live = [ticket for ticket in tickets if ticket.state is _State.QUEUED]
            for ticket in live:
                ticket.state = state
            self._stalled = False
            return live

    def _release(self, tickets: Sequence[_Ticket]) -> None:
        self._backlog = self._store.backlog  # before `_busy`: together they must not touch zero
        with self._changed:
            self._busy -= sum(ticket.state is not _State.ABANDONED for ticket in tickets)
        for ticket in tickets:
            ticket.done.set()

    def _lay_down(self, letter: Letter) -> None:
        try:
            self._letters.add(letter)
        except OSError as error:
            self._telemetry.count("dead_letters_dropped")
            self._telemetry.warn("letters", "what the api refused cannot be kept: %s", error)
        else:
            self._telemetry.count("dead_letters")

    def _tend(self, *, closing: bool) -> None:
        """Remove what is settled, and read what waits if there is room for it."""
        try:
            self._store.tidy()
        except OSError as error:
            self._telemetry.count("spool_errors")
            self._telemetry.warn("tidy", "the spool cannot be tidied: %s", error)
        # No sooner than needed: in an outage memory need not hold what the disk has.
        while not closing and self._is_hungry():
            segment = self._store.next_waiting()
            if segment is None:
                break
            records = self._store.load(segment)
            self._telemetry.count("bundles_loaded", len(records))
            self._hand_on(records, segment)
        # A learner that closes leaves what was not read to the next process.
        self._backlog = 0 if closing else self._store.backlog
        self._on_disk = self._store.unsettled
        for outlet in self._outlets.values():
            outlet.poke()

    def _has_room(self, items: int, size: int) -> bool:
        return all(outlet.room(items, size) for outlet in self._outlets.values())

    def _is_hungry(self) -> bool:
        return all(outlet.hungry() for outlet in self._outlets.values())

    def _hand_on(self, records: Iterable[Record], segment: Segment) -> None:
        for record in records:
            outlet = self._outlets.get(record.path)
            if outlet is not None:
                outlet.put(Parcel(body=record.body, segment=segment), force=True)
            else:
                reason = "written for a path that this version of the SDK does not use"
                self._lay_down(Letter(record=record, reason=reason))
                segment.settle(1)

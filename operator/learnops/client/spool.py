"""What waits for the api is on disk: what a killed process owed, the next one delivers."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import Condition, Thread

from learnops.client.frames import MAX_BODY_BYTES, Record
from learnops.client.letters import DeadLetters, Letter, Letterbox
from learnops.client.parcel import Outlet, Parcel
from learnops.client.search import Search
from learnops.client.segment import Segment
from learnops.client.store import Store
from learnops.client.telemetry import Telemetry
from learnops.client.threads import start_thread, survived
from learnops.client.tickets import Pace, State, Ticket

_MAX_GROUP = 256
_MAX_QUEUE = 20_000


class Spool:
    """Writes records to disk in a thread of its own, and hands each to the outlet of its path.

    Agents wait for that thread, never for the disk: one that hangs costs the first of them
    `wait_seconds`, and the others nothing. For what is given to `keep` nobody waits. Thread-safe.
    """

    def __init__(
        self,
        *,
        store: Store,
        letters: DeadLetters,
        pace: Pace,
        telemetry: Telemetry,
        noun: str = "bundles",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`noun`: what it holds, in counters and in the log."""
        self._noun = noun
        self._name = f"learnops-spool-{noun}"
        self._warning = f"spool {noun}"
        self._store = store
        self._letters = Letterbox(letters, telemetry=telemetry)
        self._outlets: dict[str, Outlet] = {}
        self._pace = pace
        self.wait_seconds = pace.wait_seconds
        self._telemetry = telemetry
        self._clock = clock
        self._search = Search(every_seconds=pace.search_seconds, clock=clock)
        self._changed = Condition()
        self._queue: deque[Ticket] = deque()
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

    def offer(self, record: Record) -> Ticket | None:
        """Have the record written, and tell by `collect` what came of it; None: it is not taken."""
        with self._changed:
            if self._closing or self._stalled or self._is_resting() or not self._ensure_thread():
                return None
            ticket = Ticket(record)
            self._queue.append(ticket)
            self._busy += 1
            self._changed.notify_all()
            return ticket

    def keep(self, record: Record, parcel: Parcel) -> bool:
        """Have written what is on its way from memory as `parcel`; nobody waits for that. False:
        it stays in memory alone."""
        with self._changed:
            fits = len(self._queue) < _MAX_QUEUE and len(record.body) <= MAX_BODY_BYTES
            taken = fits and not self._closing and not self._is_resting()
            if not taken or not self._ensure_thread():
                return False
            self._queue.append(Ticket(record, parcel))
            self._changed.notify_all()
            return True

    def collect(self, ticket: Ticket, *, patient: bool) -> bool:
        """Whether the record is on disk and on its way; False: the caller keeps it in memory.
        `patient`: it was waited for as long as it may take, so that the disk is to blame."""
        with self._changed:
            if ticket.state is not State.QUEUED:
                return ticket.state is State.KEPT
            ticket.state = State.ABANDONED
            self._busy -= 1
            self._stalled = self._stalled or patient
        if patient:
            self._telemetry.count("spool_stalls")
            self._telemetry.warn(
                self._warning,
                "the disk of the spool did not answer; %s wait in memory meanwhile",
                self._noun,
            )
        return False

    def settle(self, parcels: Sequence[Parcel]) -> None:
        """These are done with: stored by the api, or given up. Again: nothing."""
        with self._changed:
            new = [parcel for parcel in parcels if not parcel.over]
            for parcel in new:
                parcel.over = True
            # No generator inside `any`: each parcel has to be settled.
            ended = [parcel.segment is not None and parcel.segment.settle(1) for parcel in new]
            if any(ended) or self._backlog:
                self._attention = True
                self._changed.notify_all()

    def bury(self, record: Record, *, reason: str) -> None:
        """Keep what was refused for good where a person finds it; call before it is settled."""
        with self._changed:
            self._letters.put(Letter(record=record, reason=reason))
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

    def _ensure_thread(self) -> bool:
        if self._thread is None and not self._closing:
            self._thread = start_thread(self._loop, name=self._name, telemetry=self._telemetry)
        return self._thread is not None

    def _is_resting(self) -> bool:
        return self._rest_until is not None and self._clock() < self._rest_until

    def _loop(self) -> None:
        while True:
            tickets, closing = self._next()
            self._write(tickets)
            self._survive(self._letters.lay_down)
            self._survive(self._tend)
            if closing and not tickets and not self._letters.waiting:
                self._survive(self._store.close)
                return

    def _survive(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a queue worker: dead, it would write no more
            survived(error, name=self._name, telemetry=self._telemetry)

    def _next(self) -> tuple[list[Ticket], bool]:
        with self._changed:
            self._changed.wait_for(
                lambda: self._queue or self._letters.waiting or self._attention or self._closing,
                timeout=min(self._search.seconds(), self._store.resting_seconds()),
            )
            self._attention = False
            size = min(len(self._queue), _MAX_GROUP)
            return [self._queue.popleft() for _ in range(size)], self._closing

    def _write(self, tickets: Sequence[Ticket]) -> None:
        awaited = [ticket for ticket in tickets if ticket.parcel is None]
        copies = [ticket for ticket in tickets if ticket.parcel and not ticket.parcel.over]
        for part, write in ((awaited, self._write_awaited), (copies, self._copy)):
            try:
                if part:
                    write(part)
            except OSError as error:
                self._refuse(part, str(error))
            except BaseException as error:  # noqa: BLE001 - a queue worker: its agents would wait
                survived(error, name=self._name, telemetry=self._telemetry)
                self._refuse(part, type(error).__name__)

    def _write_awaited(self, tickets: Sequence[Ticket]) -> None:
        records = [ticket.record for ticket in tickets]
        size = sum(len(record.body) for record in records)
        has_room = all(each.room(len(records), size) for each in self._outlets.values())
        handed_on = has_room and self._store.next_waiting() is None
        segment = self._store.write(records, loaded=handed_on)
        self._count_written(tickets)
        kept = self._conclude(tickets, State.KEPT)
        if handed_on:
            self._hand_on((ticket.record for ticket in kept), segment)
            segment.settle(len(tickets) - len(kept))
        self._release(tickets)

    def _copy(self, tickets: Sequence[Ticket]) -> None:
        """Write what is on its way already; of some the api may have been quicker than the disk."""
        segment = self._store.write([ticket.record for ticket in tickets], loaded=True)
        self._count_written(tickets)
        with self._changed:
            late = 0
            for parcel in (ticket.parcel for ticket in tickets):
                if parcel is None or parcel.over:
                    late += 1
                else:
                    parcel.segment = segment
        segment.settle(late)

    def _count_written(self, tickets: Sequence[Ticket]) -> None:
        self._telemetry.count(f"{self._noun}_spooled", len(tickets))
        self._telemetry.forget(self._warning)

    def _refuse(self, tickets: Sequence[Ticket], why: str) -> None:
        self._telemetry.count("spool_errors")
        message = "the spool cannot be written, %s wait in memory: %s"
        # Whatever a log handler of the agent's raises: its agents wait for what follows.
        self._survive(lambda: self._telemetry.warn(self._warning, message, self._noun, why))
        with self._changed:
            self._rest_until = self._clock() + self._pace.rest_seconds
        copies = sum(ticket.parcel is not None for ticket in tickets)
        self._telemetry.count(f"{self._noun}_unspooled", copies)
        self._conclude(tickets, State.REFUSED)
        self._release(tickets)

    def _conclude(self, tickets: Sequence[Ticket], state: State) -> list[Ticket]:
        """Those whose agents still wait for it."""
        with self._changed:
            live = [ticket for ticket in tickets if ticket.state is State.QUEUED]
            for ticket in live:
                ticket.state = state
            self._stalled = False
            return live

    def _release(self, tickets: Sequence[Ticket]) -> None:
        self._backlog = self._store.backlog  # before `_busy`: together they must not touch zero
        self._on_disk = self._store.unsettled  # told to whoever has waited for it
        with self._changed:
            for ticket in tickets:
                counts = ticket.parcel is None and ticket.state is not State.ABANDONED
                self._busy -= counts and not ticket.released
                ticket.released = True
        for ticket in tickets:
            ticket.done.set()

    def _tend(self) -> None:
        """Remove what is settled, and read what waits if there is room for it."""
        closing = self._closing
        self._search.look()
        try:
            self._store.tidy()
        except OSError as error:
            self._telemetry.count("spool_errors")
            self._telemetry.warn("tidy", "the spool cannot be tidied: %s", error)
        # No sooner than needed: in an outage memory need not hold what the disk has.
        while not closing and all(outlet.hungry() for outlet in self._outlets.values()):
            segment = self._store.next_waiting()
            if segment is None:
                if (self._search.take() or self._store.more) and self._store.adopt():
                    self._backlog = self._store.backlog  # before the first is read: a flush waits
                    continue
                break
            records = self._store.load(segment)
            self._telemetry.count(f"{self._noun}_loaded", len(records))
            self._hand_on(records, segment)
        self._backlog = 0 if closing else self._store.backlog  # the rest is the next process's
        self._on_disk = self._store.unsettled
        for outlet in self._outlets.values():
            outlet.poke()

    def _hand_on(self, records: Iterable[Record], segment: Segment) -> None:
        for record in records:
            outlet = self._outlets.get(record.path)
            if outlet is not None:
                outlet.put(Parcel(body=record.body, segment=segment), force=True)
            else:
                reason = "written for a path that this version of the SDK does not use"
                self._letters.put(Letter(record=record, reason=reason))
                self._letters.lay_down()
                segment.settle(1)

"""The spool's files: written in turn, read again after a crash, removed when all is settled.

Used by one thread alone, which is why nothing here is locked.
"""

import errno
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from learnops.client.folder import Owned, processes, secure, used_bytes
from learnops.client.frames import Record
from learnops.client.segment import Segment
from learnops.client.telemetry import Telemetry

_ASIDE = "damaged"
_MAX_ASIDE = 16
_MAX_ADOPTED = 16  # folders at once: each costs the agent an open file
_READ_AGAIN_SECONDS = 5.0
_READ_TRIES = 6  # half a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Bounds of what is on disk.

    Attributes:
        bytes: of all processes that share the folder, checked when a file is begun.
        records: of this process, and of those whose files it took over.
        keep_seconds: files of ended processes that are older are deleted unread.
        segment_bytes: a file that has reached it is followed by the next.
        segment_records: the same as a number.
    """

    bytes: int
    records: int
    keep_seconds: float
    segment_bytes: int = 2**20
    segment_records: int = 1000


class Store:
    """Files in the folder of this process, and in folders of ended ones that it took over."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: StoreLimits,
        telemetry: Telemetry,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now`: seconds since 1970, as files are dated; `clock`: monotonic seconds."""
        self._folder = folder
        self._limits = limits
        self._telemetry = telemetry
        self._now = now
        self._clock = clock
        self._own: Owned | None = None
        self._adopted: list[Owned] = []
        self._active: Segment | None = None
        self._segments: list[Segment] = []  # all that are there, also the active one
        self._waiting: deque[Segment] = deque()  # those whose records are on disk alone
        self._resting: dict[Segment, float] = {}  # that could not be read, and until when
        self._number = 0
        self.more = False  # of ended processes, than are taken over at once

    @property
    def backlog(self) -> int:
        """Records that are on disk alone; a file that was not read yet counts as one, and so does
        all together that is still to be taken over."""
        return sum(segment.records for segment in self._waiting) + self.more

    @property
    def unsettled(self) -> int:
        """Records on disk that were neither stored by the api nor given up."""
        return self.backlog + sum(one.unsettled for one in self._segments if one.loaded)

    def write(self, records: Sequence[Record], *, loaded: bool) -> Segment:
        """Append them; `loaded` where they are handed on at once and never read from here.

        Raises:
            OSError: they are not on disk; ENOSPC also where the bounds are reached.
        """
        if self.unsettled + len(records) > self._limits.records:
            raise OSError(errno.ENOSPC, f"{self._limits.records} records are on disk already")
        segment = self._writable(loaded=loaded)
        segment.append(records)
        return segment

    def next_waiting(self) -> Segment | None:
        """The oldest file whose records are on disk alone and that can be read, as far as is
        known."""
        now = self._clock()
        return next((one for one in self._waiting if self._resting.get(one, now) <= now), None)

    def resting_seconds(self) -> float:
        """Until a file that could not be read may be tried again; without one, for ever."""
        now = self._clock()
        return min((until - now for until in self._resting.values() if until > now), default=inf)

    def load(self, segment: Segment) -> list[Record]:
        """Read a file that waits. One that cannot be read rests and is tried again; at last it
        stays where it is, for another process. Never raises."""
        if segment is self._active:
            self._seal()
        try:
            records = segment.load()
        except FileNotFoundError:  # somebody has cleaned up under us
            records = self._let_be(segment)
        except OSError as error:
            self._telemetry.count("spool_errors")
            self._telemetry.warn(
                f"load {error.errno}", "%s cannot be read: %s", segment.path, error
            )
            segment.unread += 1
            if segment.unread < _READ_TRIES and not isinstance(error, IsADirectoryError):
                self._resting[segment] = self._clock() + _READ_AGAIN_SECONDS
                return []
            records = self._let_be(segment)
        self._resting.pop(segment, None)
        if segment.damage is not None:
            self._telemetry.count("spool_damaged")
            self._telemetry.warn(
                f"damage {segment.path}", "%s is damaged: %s", segment.path, segment.damage
            )
        self._waiting.remove(segment)
        return records

    def adopt(self) -> int:
        """Take over what ended processes left, so many folders at once; how many files. There may
        be `more`. Never raises."""
        before = len(self._waiting)
        self.more = False
        try:
            self.tidy()  # what held nothing was settled when it was read
            for path in processes(self._folder):
                if len(self._adopted) >= _MAX_ADOPTED:
                    self.more = True
                    break
                self._try_to_adopt(path)
        except OSError as error:
            self._not_searched(error)
        return len(self._waiting) - before

    def tidy(self) -> None:
        """Remove what is settled. Raises OSError; then the next call goes on."""
        for segment in list(self._segments):
            if not segment.loaded or segment.unsettled > 0:
                continue
            if segment.sealed:
                self._dispose(segment)
            elif segment.size:
                segment.empty()
        for owned in [each for each in self._adopted if not self._holds(each)]:
            self._adopted.remove(owned)
            owned.remove()

    def close(self) -> None:
        """Let go of everything; what is not settled stays for another process. Never raises."""
        self._seal()
        with suppress(OSError):  # what stays is sent once more, and known to the api
            self.tidy()
        for owned in [*self._adopted, *([self._own] if self._own else [])]:
            owned.remove()
        self.forget()

    def forget(self) -> None:
        """Close every file and lock and change nothing: in a forked child they are the parent's."""
        for segment in list(self._segments):
            segment.close()
        for owned in [*self._adopted, *([self._own] if self._own else [])]:
            owned.close()

    def _writable(self, *, loaded: bool) -> Segment:
        active = self._active
        if active is not None and self._is_over(active, loaded=loaded):
            self._seal()
        if self._active is None:
            self._active = self._begin(loaded=loaded)
        return self._active

    def _is_over(self, active: Segment, *, loaded: bool) -> bool:
        full = (
            active.size >= self._limits.segment_bytes
            or active.records >= self._limits.segment_records
        )
        return full or active.loaded != loaded or not active.intact

    def _begin(self, *, loaded: bool) -> Segment:
        used = used_bytes(self._folder)
        if used >= self._limits.bytes:
            raise OSError(errno.ENOSPC, f"the spool holds {used} bytes already")
        own = self._own_folder()
        self._number += 1
        segment = Segment(own.path / f"{self._number:08d}.seg", owner=own, loaded=loaded)
        segment.create()
        self._segments.append(segment)
        if not loaded:
            self._waiting.append(segment)
        return segment

    def _own_folder(self) -> Owned:
        if self._own is None or not self._own.path.is_dir():
            if self._own is not None:  # somebody has cleaned up under us
                self._own.close()
                self._own = None
            self._own = Owned.create(self._folder)
        return self._own

    def _seal(self) -> None:
        active, self._active = self._active, None
        if active is not None:
            active.sealed = True
            active.close()

    def _let_be(self, segment: Segment) -> list[Record]:
        self._segments.remove(segment)
        return []

    def _try_to_adopt(self, path: Path) -> None:
        try:
            self._adopt(path)
        except OSError as error:  # and on with the others: one must not hide what they hold
            self._not_searched(error)

    def _not_searched(self, error: OSError) -> None:
        self._telemetry.count("spool_errors")
        self._telemetry.warn(f"adopt {error.errno}", "the spool cannot be searched: %s", error)

    def _adopt(self, path: Path) -> None:
        """Raises OSError."""
        owned = None if self._is_own(path) else Owned.adopt(path)
        if owned is None:
            return
        self._adopted.append(owned)
        self._take(owned)
        if not self._holds(owned):
            self._adopted.remove(owned)
            owned.remove()

    def _take(self, owned: Owned) -> None:
        oldest = self._now() - self._limits.keep_seconds
        for path in owned.segments():
            if path.stat().st_mtime < oldest:
                path.unlink()
                self._telemetry.count("spool_expired")
                days = self._limits.keep_seconds / 86_400
                self._telemetry.warn(
                    "expired", "%s is deleted unsent: over %g days old", path, days
                )
                continue
            segment = Segment.found(path, owner=owned)
            self._segments.append(segment)
            self._waiting.append(segment)

    def _dispose(self, segment: Segment) -> None:
        if segment.damage is None:
            segment.path.unlink(missing_ok=True)
        else:
            self._move_aside(segment)
        self._segments.remove(segment)

    def _move_aside(self, segment: Segment) -> None:
        aside = self._folder / _ASIDE
        secure(aside)
        for old in sorted(aside.iterdir(), key=_changed_at)[: -_MAX_ASIDE + 1]:
            old.unlink(missing_ok=True)
        to = aside / f"{segment.owner.path.name}-{segment.path.name}"
        segment.path.replace(to)
        self._telemetry.warn(f"aside {to}", "the damaged file is kept as %s", to)

    def _holds(self, owned: Owned) -> bool:
        return any(segment.owner is owned for segment in self._segments)

    def _is_own(self, path: Path) -> bool:
        return self._own is not None and path == self._own.path


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process made room meanwhile
        return 0.0

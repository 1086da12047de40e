"""One file of records, and how many of them are not settled yet."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from learnops.client.folder import Owned
from learnops.client.frames import DamagedError, Record, decode, encode


class Segment:
    """A file in a folder of ours. The spool's thread writes and reads it; any may settle."""

    def __init__(self, path: Path, *, owner: Owned, loaded: bool) -> None:
        """`loaded`: its records are handed on as they are written, and never read from here."""
        self.path = path
        self.owner = owner
        self.loaded = loaded
        self.sealed = False
        self.damage: str | None = None
        self.records = 0
        self.size = 0
        self.unread = 0  # times that it could not be read
        self._open = 0
        self._lock = Lock()
        self._file: int | None = None

    @classmethod
    def found(cls, path: Path, *, owner: Owned) -> "Segment":
        """A file that a process left; how many records it has shows when it is read."""
        segment = cls(path, owner=owner, loaded=False)
        segment.sealed = True
        segment.records = 1
        segment.size = path.stat().st_size
        return segment

    @property
    def unsettled(self) -> int:
        """Records that were neither stored by the api nor given up."""
        with self._lock:
            return self._open

    def settle(self, count: int) -> bool:
        """So many more are done with; True if none is left."""
        with self._lock:
            self._open -= count
            return self._open <= 0

    def create(self) -> None:
        """Make the file; raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o600)

    @property
    def intact(self) -> bool:
        """Whether the file can still be found by its name: nobody has cleaned up under us."""
        return self._file is not None and os.fstat(self._file).st_nlink > 0

    def append(self, records: Sequence[Record]) -> None:
        """All of them, or none.

        Raises:
            OSError: the disk is full, or something else is wrong with it.
        """
        if self._file is None:
            raise OSError(errno.EBADF, "the file is closed")
        data = b"".join(map(encode, records))
        try:
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError(errno.ENOSPC, "the disk took only a part")
        except OSError:
            # A record that was cut off would hide those that are written behind it.
            os.ftruncate(self._file, self.size)
            raise
        self.size += len(data)
        self.records += len(records)
        with self._lock:
            self._open += len(records)

    def empty(self) -> None:
        """All of its records are settled: begin anew in the same file. Raises OSError."""
        if self._file is not None and self.size:
            os.ftruncate(self._file, 0)
            self.size = self.records = 0

    def load(self) -> list[Record]:
        """Read it: from now on its records count as handed on. Raises OSError."""
        records: list[Record] = []
        try:
            records.extend(decode(self.path.read_bytes()))
        except DamagedError as error:
            self.damage = str(error)
        self.loaded = True
        self.records = len(records)
        with self._lock:
            self._open = len(records)
        return records

    def close(self) -> None:
        """Close the file; idempotent. Never raises."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # a daemon that begins closes what it does not know
                os.close(file)

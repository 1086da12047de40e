"""The spool's folders: who may look into them, and which process a file belongs to.

    ROOT/NAMESPACE.DOER.HASH/     one doer at one api, for one user of the system
        PROCESS/lock              locked for as long as the process lives
        PROCESS/00000001.seg      what it has to report
        refused.ndjson            what the api refused for good
        damaged/                  files that could not be read to their end
    ROOT/NAMESPACE.DOER.HASH.signals/     the same for its signals, in PROCESS/ and damaged/

The lock is the kernel's (flock): it ends with the process, however that ends, and it is not
inherited by an exec. A forked child has to close its copy.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Self

SEGMENT_SUFFIX = ".seg"
_LOCK = "lock"
_MODE = 0o700
_SHOWN_CHARACTERS = 60
_PROCESS_BYTES = 16


class UnsafeFolderError(OSError):
    """A folder of the spool belongs to somebody else."""


def name_of(*, api: str, namespace: str, doer: str) -> str:
    """The folder of one doer at one api for the present user: readable, and its own by a hash.

    Another api is another reader: what was meant for one is never sent to another.
    """
    whole = "\n".join((api, namespace, doer, str(os.geteuid()))).encode()
    shown = f"{namespace[:_SHOWN_CHARACTERS]}.{doer[:_SHOWN_CHARACTERS]}"
    return f"{shown}.{blake2b(whole, digest_size=8).hexdigest()}"


def secure(folder: Path) -> None:
    """Make a folder that nobody else may look into, with its parents.

    Raises:
        OSError: it cannot be made, or is a link or somebody else's.
    """
    folder.parent.mkdir(mode=_MODE, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=_MODE)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UnsafeFolderError(f"{folder} is a link or belongs to another user")
    if stat.S_IMODE(found.st_mode) & ~_MODE:
        folder.chmod(_MODE)


class Owned:
    """The folder of one process, locked by this one: its own, or that of one that has ended."""

    def __init__(self, path: Path, *, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def create(cls, parent: Path) -> Self:
        """A folder of this process alone; raises OSError."""
        secure(parent)
        path = parent / os.urandom(_PROCESS_BYTES).hex()
        path.mkdir(mode=_MODE)
        try:
            found = cls._open(path, flags=os.O_CREAT)
        except OSError:
            # Where there is no room, or no locks, each try would leave a folder behind.
            with suppress(OSError):
                (path / _LOCK).unlink(missing_ok=True)
                path.rmdir()
            raise
        if found is None:  # somebody looked at it in this very moment
            raise BlockingIOError(f"{path} is locked by another process")
        return found

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The folder of a process that has ended; None while it lives. Raises OSError."""
        try:
            return cls._open(path, flags=0)
        except FileNotFoundError:
            # Its process ended between two steps of making or removing it.
            with suppress(OSError):  # not empty, or removed meanwhile
                path.rmdir()
            return None

    @classmethod
    def _open(cls, path: Path, *, flags: int) -> Self | None:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock=lock)

    def segments(self) -> list[Path]:
        """Its files of records, the oldest first."""
        with suppress(FileNotFoundError):
            return sorted(each for each in self.path.iterdir() if each.suffix == SEGMENT_SUFFIX)
        return []

    def remove(self) -> None:
        """Take away a folder that holds no more records, and let go of it. Never raises."""
        with suppress(OSError):  # gone, or somebody put something into it
            if not self.segments():
                (self.path / _LOCK).unlink(missing_ok=True)
                self.path.rmdir()
        self.close()

    def close(self) -> None:
        """Let go of the lock; idempotent. In a forked child only its own copy. Never raises."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(OSError):  # as for a segment
                os.close(lock)


def processes(folder: Path) -> Iterator[Path]:
    """The folders of all processes, living or not; nothing where there is no such folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for each in sorted(folder.iterdir()):
            if len(each.name) == 2 * _PROCESS_BYTES and each.is_dir():
                yield each


def used_bytes(folder: Path) -> int:
    """What the files of records of all processes take together."""
    size = 0
    for process in processes(folder):
        with suppress(FileNotFoundError):
            for each in process.iterdir():
                with suppress(FileNotFoundError):  # delivered meanwhile
                    size += each.stat().st_size
    return size

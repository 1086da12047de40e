"""Per-user cache folders that are filled once, completely or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_root() -> Path:
    """The testbed's folder in the user's cache (XDG_CACHE_HOME)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "learnops"


def fill_once(
    target: Path, fill: Callable[[Path], None], *, waiting: Callable[[], None] = lambda: None
) -> Path:
    """Return ``target``, made by ``fill(folder)`` if it does not exist.

    Only one process fills; others wait (``waiting`` is called before that). The folder appears
    under its name by one rename, so a crash or a failing ``fill`` leaves no half of it.
    """
    if target.exists():
        return target
    with _locked(target.with_name(f".{target.name}.lock"), waiting):
        if target.exists():  # made while we waited
            return target
        scratch = target.with_name(f".{target.name}.part")
        shutil.rmtree(scratch, ignore_errors=True)  # of a crashed run; we hold the lock
        scratch.mkdir()
        try:
            fill(scratch)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


@contextlib.contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file releases the lock, as does the end of the process

"""A temporary folder per run, and the removal of those that crashed runs left."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

_PREFIX = "learnops-testbed-"
_NEW = "learnops-new-"
_LOCK = ".owner"


class WorkDir:
    """A folder that exists as long as its owner. The lock tells a later run if the owner lives.

    The path is short (a Unix socket's path is at most 107 bytes).
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        _sweep(Path(tempfile.gettempdir()))
        new = Path(tempfile.mkdtemp(prefix=_NEW))
        self._lock = (new / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        (new / "logs").mkdir()
        # Visible to other runs' sweep only now that it is locked.
        self.path = new.rename(new.with_name(_PREFIX + new.name.removeprefix(_NEW)))

    @property
    def logs(self) -> Path:
        """Where processes write."""
        return self.path / "logs"

    def close(self) -> None:
        """Remove the folder unless it is to be kept; idempotent."""
        if self._lock.closed:
            return
        if not self._keep:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def __enter__(self) -> "WorkDir":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        # Another run may remove the same folder, or just be creating its own.
        with contextlib.suppress(OSError), (folder / _LOCK).open("r") as lock:
            if folder.stat().st_uid != os.getuid():
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)

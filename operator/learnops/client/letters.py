"""What the api refused for good: kept beside the spool for a person to look at."""

import fcntl
import json
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from learnops.client.folder import secure
from learnops.client.frames import MAX_BODY_BYTES, Record
from learnops.client.telemetry import Telemetry

FILE = "refused.ndjson"
OLDER = "refused.1.ndjson"
MAX_FILE_BYTES = 4 * 2**20
_MAX_WAITING = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A record that can never be delivered, and why."""

    record: Record
    reason: str


class DeadLetters:
    """A file of lines, and the one before it: at most twice `max_bytes` and a line.

    Several processes may write: a line is one append, and only the holder of the file's lock
    turns it over.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = MAX_FILE_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._now = now

    def add(self, letter: Letter) -> None:
        """Append one line; raises OSError."""
        secure(self._folder)
        self._turn_over()
        file = self._open()
        try:
            os.write(file, self._line(letter))
        finally:
            os.close(file)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return os.open(self._folder / FILE, flags, 0o600)

    def _turn_over(self) -> None:
        file = self._open()
        try:
            if os.fstat(file).st_size < self._max_bytes:
                return
            with suppress(BlockingIOError):  # another process is doing it
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path = self._folder / FILE
                if path.stat().st_ino == os.fstat(file).st_ino:
                    path.replace(self._folder / OLDER)
        finally:
            os.close(file)

    def _line(self, letter: Letter) -> bytes:
        body = letter.record.body
        head = {
            "time": round(self._now(), 3),
            "path": letter.record.path,
            "reason": letter.reason,
            "bytes": len(body),
        }
        # As it is: what is in the file can be posted again once its cause is mended.
        kept = body if len(body) <= MAX_BODY_BYTES else b"null"
        return json.dumps(head).encode()[:-1] + b', "body": ' + kept + b"}\n"


class Letterbox:
    """Letters on their way to the file: put by any thread, laid down by the spool's alone."""

    def __init__(self, letters: DeadLetters, *, telemetry: Telemetry) -> None:
        self._letters = letters
        self._telemetry = telemetry
        self._waiting: deque[Letter] = deque()

    @property
    def waiting(self) -> int:
        """Letters that are not on disk yet."""
        return len(self._waiting)

    def put(self, letter: Letter) -> None:
        """Take one; over the bound it is dropped and counted."""
        if len(self._waiting) >= _MAX_WAITING:
            self._telemetry.count("dead_letters_dropped")
        else:
            self._waiting.append(letter)

    def lay_down(self) -> None:
        """Write all that wait; what the disk does not take is dropped and counted."""
        while self._waiting:
            letter = self._waiting.popleft()
            try:
                self._letters.add(letter)
            except OSError as error:
                self._telemetry.count("dead_letters_dropped")
                self._telemetry.warn("letters", "what the api refused cannot be kept: %s", error)
            else:
                self._telemetry.count("dead_letters")

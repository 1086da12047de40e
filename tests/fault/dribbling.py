"""Clients that open connections and send one byte at a time."""

import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

PACE_SECONDS = 0.25


@dataclass(eq=False)
class Dribbler:
    """One connection: what it said at once, what it was told, and when the other side left it."""

    sock: socket.socket
    opened: float
    told: bytes = b""
    left_after: float | None = None

    @property
    def status(self) -> int:
        """What was answered; 0 for nothing."""
        return int(self.told.split(b" ", 2)[1]) if self.told else 0


@dataclass
class Dribblers:
    """Many of them, fed by one thread for as long as this is open or they are."""

    url: str
    all: list[Dribbler] = field(default_factory=list)
    _open: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # of who is open
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._feeder.join()
        for one in self.all:
            one.sock.close()
        self._open.close()

    def open(self, count: int, *, saying: bytes) -> Sequence[Dribbler]:
        """So many more, each of which begins with the same."""
        where = urlsplit(self.url)
        made = []
        for _ in range(count):
            sock = socket.create_connection((where.hostname, where.port), timeout=30)
            one = Dribbler(sock=sock, opened=time.monotonic())
            sock.sendall(saying)
            sock.setblocking(False)
            with self._lock:
                self._open.register(sock, selectors.EVENT_READ, one)
            made.append(one)
        self.all += made
        return made

    def _feed(self) -> None:
        while not self._done.is_set():
            fed = time.monotonic() + PACE_SECONDS
            with self._lock:
                all_open = list((self._open.get_map() or {}).values())
            for key in all_open:
                self._hear(key.data, say=b"a")
            while (left := fed - time.monotonic()) > 0 and not self._done.is_set():
                for key, _ in self._open.select(left):
                    self._hear(key.data)
                self._done.wait(min(0.02, left))

    def _hear(self, one: Dribbler, *, say: bytes = b"") -> None:
        """A byte from it, and what is there for it."""
        left = _send(one, say)
        try:
            # Also from a side that takes no more: its answer may wait here.
            part = one.sock.recv(65_536)
            one.told += part
            left = left or not part
        except BlockingIOError:
            pass
        except ConnectionError:
            left = True
        if left:
            one.left_after = time.monotonic() - one.opened
            with self._lock:
                self._open.unregister(one.sock)


def _send(one: Dribbler, said: bytes) -> bool:
    """Whether the other side takes no more."""
    try:
        if said:
            one.sock.send(said)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return False

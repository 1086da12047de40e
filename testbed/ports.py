"""Free TCP ports on loopback."""

import fcntl
import os
import secrets
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path

from testbed.errors import TestbedError

LOOPBACK = "127.0.0.1"
# Below the range the kernel gives to outgoing connections (from 32768 on Linux): a port found free
# here is not taken by somebody's client socket before the server binds it.
_FIRST, _LAST, _BLOCK = 20_000, 32_000, 100


def free_ports(count: int) -> list[int]:
    """``count`` different ports that were free a moment ago; raises TestbedError if there are none.

    No other process that asks here is given them while this one lives: a server binds its port
    seconds after it was chosen, and leaves it for a while where a test kills it.
    """
    own = _own_ports()
    return [own.take() for _ in range(count)]


def free_port() -> int:
    """One port that was free a moment ago."""
    return free_ports(1)[0]


class _Ports:
    """Blocks of ports, each held by a lock on a file; the kernel releases it with the process.

    No port is given twice before all of the range was. Safe for use from several threads.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._mine: list[int] = []
        self._left: list[int] = []

    def take(self) -> int:
        """The next port that is free; raises TestbedError if there is none."""
        with self._lock:
            for _ in range(_LAST - _FIRST):
                if not self._left:
                    self._left = self._another_block() or _shuffled(self._mine)
                if not self._left:
                    break
                port = self._left.pop()
                if _is_free(port):
                    return port
        raise TestbedError(f"no free port between {_FIRST} and {_LAST} on {LOOPBACK}")

    def _another_block(self) -> list[int]:
        """The ports of a block that nobody holds; empty: there is none."""
        for first in _shuffled(list(range(_FIRST, _LAST, _BLOCK))):
            descriptor = os.open(self._folder / str(first), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            # The descriptor stays open, and with it the lock, as long as this process.
            ports = list(range(first, first + _BLOCK))
            self._mine += ports
            return _shuffled(ports)
        return []


@cache
def _own_ports() -> _Ports:
    """Those of this process."""
    return _Ports(Path(tempfile.gettempdir()) / f"learnops-ports-{os.getuid()}")


def _shuffled(values: list[int]) -> list[int]:
    return secrets.SystemRandom().sample(values, len(values))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

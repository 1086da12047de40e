"""Free TCP ports on loopback."""

import secrets
import socket

from testbed.errors import TestbedError

LOOPBACK = "127.0.0.1"
# Below the range the kernel gives to outgoing connections (from 32768 on Linux): a port found free
# here is not taken by somebody's client socket before the server binds it.
_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS = 500


def free_ports(count: int) -> list[int]:
    """``count`` different ports that were free a moment ago; raises TestbedError if there are none.

    They are held until all are found, so one call never returns a port twice.
    """
    held: list[socket.socket] = []
    try:
        for _ in range(_ATTEMPTS):
            if len(held) == count:
                break
            candidate = _bound(_FIRST + secrets.randbelow(_LAST - _FIRST))
            if candidate is not None:
                held.append(candidate)
        if len(held) < count:
            raise TestbedError(f"no {count} free ports between {_FIRST} and {_LAST} on {LOOPBACK}")
        return [int(sock.getsockname()[1]) for sock in held]
    finally:
        for sock in held:
            sock.close()


def free_port() -> int:
    """One port that was free a moment ago."""
    return free_ports(1)[0]


def _bound(port: int) -> socket.socket | None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind((LOOPBACK, port))
    except OSError:
        sock.close()
        return None
    return sock

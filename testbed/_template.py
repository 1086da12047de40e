"""Imports modules once, then becomes `learnops ARGUMENTS...` in a fork for each that asks.

Started as ``python -m testbed._template SOCKET MODULE...``. Who connects sends the descriptor that
takes the output, then one line of JSON: arguments, environment, folder. The answers are the
child's process id once it is on its own, and its exit code once it has ended. A fork that lives
when this process ends is killed by the kernel.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

from learnops.cli.main import main

_PR_SET_PDEATHSIG = 1


def serve(listener: socket.socket) -> list[str]:
    """Fork for whoever asks; returns in each fork, with its arguments."""
    server = os.getpid()
    with selectors.DefaultSelector() as events:
        events.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.data is not None:
                    events.unregister(key.fd)
                    _tell_end(key.fd, *key.data)
                    continue
                asking, _address = listener.accept()
                pid = os.fork()
                if pid == 0:
                    _forget(events)
                    return _become(asking, of=server)
                # Readable when the child has ended.
                ended = os.pidfd_open(pid)
                events.register(ended, selectors.EVENT_READ, data=(pid, asking))


def _forget(events: selectors.BaseSelector) -> None:
    """Close what belongs to the other forks."""
    for key in events.get_map().values():
        if key.data is not None:
            _pid, asking = key.data
            os.close(key.fd)
            asking.close()


def _tell_end(descriptor: int, pid: int, asking: socket.socket) -> None:
    os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    with asking:
        asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(asking: socket.socket, *, of: int) -> list[str]:
    """Take on output, environment, folder and a session of its own."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != of:  # it ended before the line above: nobody would send the signal
        sys.exit("the template is gone")
    with asking, asking.makefile("rb") as lines:
        _, (output,), _, _ = socket.recv_fds(asking, 1, 1)
        told = json.loads(lines.readline())
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.close(output)
        asking.sendall(f"{os.getpid()}\n".encode())
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    arguments: list[str] = told["arguments"]
    return arguments


def _run() -> int:
    path, *modules = sys.argv[1:]
    for name in modules:
        import_module(name)
    gc.collect()
    gc.freeze()  # pages that the collector never writes to stay shared
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.new")
        listener.listen()
        Path(f"{path}.new").rename(path)  # who sees it can connect
        arguments = serve(listener)
    sys.argv[1:] = arguments
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_run())

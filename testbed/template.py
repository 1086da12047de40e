"""Processes of `learnops` that start quickly: forks of one that has done the imports.

The imports are most of a start (1.3 s of CPU; a fork is ready after 0.2 s), and tests start
hundreds. A fork is a process like any other: with environment, session, log and database of its
own, killed alone, and nothing in it that another has done. `make demo` and the tests of the command
line start the real command.
"""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

from learnops.cli.main import COMMANDS
from testbed.process import Child, ManagedProcess
from testbed.workdir import WorkDir

LEARNOPS = (sys.executable, "-m", "learnops.cli.main")
# What `learnops COMMAND` imports beside the modules of all commands.
_IMPORTED = {
    "api": (
        "uvloop",
        "learnops.cli.api_process",
        "learnops.server.auth",
        "learnops.server.discretion",
    ),
    # What a pass imports when it first needs it holds up the renewal of the Lease.
    "operator": ("scipy.stats", "learnops.cli.logs", "learnops.cli.operator_process"),
}


class Fork:
    """One fork, as `subprocess.Popen` shows a process."""

    def __init__(self, answers: socket.socket) -> None:
        self._lines = answers.makefile("rb")
        answers.close()  # with the file
        told = self._lines.readline()
        if not told:
            raise ChildProcessError("the template ended, or could not fork")
        self.pid = int(told)
        self._code: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name=f"fork-{self.pid}", daemon=True).start()

    def _watch(self) -> None:
        with self._lines:
            told = self._lines.readline()
        # Nothing is told by a template that was killed; the kernel kills its forks.
        self._code = int(told) if told else -9
        self._ended.set()

    def poll(self) -> int | None:
        """The exit code, minus the signal's number if killed; None while it runs."""
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; raises subprocess.TimeoutExpired after seconds."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
        assert self._code is not None
        return self._code

    def send_signal(self, sig: int) -> None:
        """Send it, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, sig)


class Template:
    """The process that forks, for one command; the kernel ends it and its forks with its owner."""

    def __init__(self, command: str) -> None:
        self._work = WorkDir()
        self._path = self._work.path / "socket"
        modules = (*(f"learnops.cli.{name}" for name in COMMANDS), *_IMPORTED[command])
        self._process = ManagedProcess(
            name=f"template of {command}",
            command=[sys.executable, "-m", "testbed._template", self._path, *modules],
            log=self._work.logs / "template.log",
            # Threads of a library would be missing in the forks.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[1],
        )

    def start(self) -> "Template":
        """Start it and wait until it takes orders."""
        self._process.start()
        self._process.wait_ready(self._path.exists)
        return self

    def stop(self) -> None:
        """End it, and what it has forked."""
        self._process.kill()
        self._work.close()

    def fork(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path | None, output: int
    ) -> Fork:
        """`learnops ARGUMENTS...`, which writes to the descriptor `output`. Raises OSError."""
        order = {"arguments": arguments, "environment": env, "folder": str(cwd or Path.cwd())}
        asking = socket.socket(socket.AF_UNIX)
        asking.connect(str(self._path))
        socket.send_fds(asking, [b"."], [output])
        asking.sendall(json.dumps(order).encode() + b"\n")
        return Fork(asking)


@cache
def template(command: str) -> Template:
    """This process's template of a command, started when it is first asked for."""
    made = Template(command)
    atexit.register(made.stop)
    return made.start()


class ForkedProcess(ManagedProcess):
    """A `learnops COMMAND ...`, started as a fork of the command's template.

    Any other command is started as it is, such as a shell that sets limits and then becomes it.
    """

    def _spawn(self, output: BinaryIO) -> Child:
        start, arguments = self.command[: len(LEARNOPS)], self.command[len(LEARNOPS) :]
        if tuple(start) != LEARNOPS:
            return super()._spawn(output)
        forking = template(arguments[0])
        return forking.fork(arguments, env=self._env, cwd=self._cwd, output=output.fileno())

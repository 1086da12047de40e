"""The command that `learnops run` runs: its environment, its signals, its end."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType, TracebackType
from typing import Any, Self

from learnops.client import Run
from learnops.client.policy import document

# All that end a process, images and supervisors send to their agents, and can be caught.
_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_TYPED = (signal.SIGINT, signal.SIGQUIT)  # by a terminal, to a whole group
_SECRETS = ("LEARNOPS_TOKEN", "LEARNOPS_TOKEN_FILE")
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as a shell says it
_FAILED = 125  # as env(1) and timeout(1): what was to start the command failed
_SIGNALLED = 128


class UnstartableError(Exception):
    """The command cannot be started; `code` is the exit code that says so."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the command ended: its exit code (128 + n for signal n) and how long it took."""

    code: int
    milliseconds: float


class Signals:
    """While it is entered, signals that would end this process go to the command instead.

    Attributes:
        caught: the first signal that came; None: none did.
    """

    def __init__(self) -> None:
        self.caught: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._early: int | None = None  # the first that the command has still to get
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in _FORWARDED:
            number = getattr(signal, name, None)  # not every system has all of them
            # What was ignored (nohup) stays ignored, here and in the command.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin(self) -> None:
        """The command is being started: what is typed from now on, the terminal tells it itself."""
        self._starting = True

    def attach(self, child: "subprocess.Popen[bytes]") -> None:
        """The command has started: from now on it gets what comes, and what has come meanwhile."""
        self._child = child
        if self._early is not None:
            child.send_signal(self._early)

    def detach(self) -> None:
        """The command has ended."""
        self._child = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.caught = self.caught or number
        if self._starting and number in _TYPED and _typed():
            return
        if self._child is not None:
            self._child.send_signal(number)
        else:
            self._early = self._early or number


def _typed() -> bool:
    """Whether a terminal sends its interrupts to this process: then it sent this one to the command
    too, which is of the same group, and a second one would count as "stop at once" there."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class Files:
    """A folder of the run's own with the policy's content, and the place for a bundle.

    Attributes:
        bundle: where the command may write its bundle.
        environment: what the command is started with.
    """

    def __init__(self, run: Run) -> None:
        """Raises UnstartableError."""
        content = json.dumps(document(run.policy)).encode()
        try:
            self._folder = TemporaryDirectory(prefix="learnops-run-", ignore_cleanup_errors=True)
            folder = Path(self._folder.name)
            policy = folder / "policy.json"
            policy.write_bytes(content)
        except OSError as error:
            raise UnstartableError(f"no file can be written for CMD: {error}", _FAILED) from error
        self.bundle = folder / "bundle.json"
        self.environment = {
            # Whoever talks to the api is this process; an agent has no use for its token.
            **{name: value for name, value in os.environ.items() if name not in _SECRETS},
            "LEARNOPS_RUN_ID": run.id,
            "LEARNOPS_ARM": run.arm,
            "LEARNOPS_POLICY": run.policy.name,
            "LEARNOPS_MODEL": run.model or "",
            "LEARNOPS_POLICY_FILE": str(policy),
            "LEARNOPS_BUNDLE_FILE": str(self.bundle),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.cleanup()


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: the path of the program, and all its arguments with its own name."""

    path: str
    arguments: Sequence[str]

    @classmethod
    def find(cls, arguments: Sequence[str]) -> Self:
        """Look for the program as a shell does; raises UnstartableError."""
        name = arguments[0]
        path = shutil.which(name)
        if path is None:
            # No Path: that raises where a folder may not be looked into, or the name is too long.
            there = os.sep in name and os.path.exists(name)  # noqa: PTH110
            problem = "cannot be executed" if there else "is not found"
            raise UnstartableError(f"{name}: {problem}", _NOT_EXECUTABLE if there else _NOT_FOUND)
        return cls(path, arguments)

    def run(self, environment: Mapping[str, str], signals: Signals) -> Ended:
        """Run it to its end, on this process's own input and output; raises UnstartableError."""
        began = time.monotonic()
        signals.begin()
        try:
            child = subprocess.Popen(  # noqa: S603 - to run what the user says is the purpose
                self.arguments, executable=self.path, env=environment
            )
        except (OSError, ValueError) as error:
            raise UnstartableError(f"{self.path}: {error}", _NOT_EXECUTABLE) from error
        signals.attach(child)
        code = child.wait()
        signals.detach()
        milliseconds = (time.monotonic() - began) * 1000
        return Ended(code=code if code >= 0 else _SIGNALLED - code, milliseconds=milliseconds)

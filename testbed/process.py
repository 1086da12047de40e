"""Child processes that cannot outlive their owner, each with its log file."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from testbed.errors import TestbedError
from testbed.waiting import wait_until

_LAUNCHER = Path(__file__).with_name("_launch.py")
_TAIL_BYTES = 4000


class Child(Protocol):
    """A process that was started: what is needed of `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """The exit code, minus the signal's number if killed; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; raises subprocess.TimeoutExpired after seconds."""

    def send_signal(self, sig: int) -> None:
        """Send it, unless the process has ended."""


class ManagedProcess:
    """One child process in a process group of its own.

    It is killed by the kernel when the process that started it dies, however it dies. Output goes
    to ``log``, appended over restarts. ``on_end`` is called when it has
    ended, from another thread. Otherwise not safe for use from several threads at once.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        as_ordinary_user: bool = False,
        stop_signal: signal.Signals = signal.SIGTERM,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self._env = dict(os.environ if env is None else env)
        self._cwd = cwd
        self._mode = "user" if as_ordinary_user else "plain"
        self._stop_signal = stop_signal
        self._on_end = on_end
        self._child: Child | None = None
        self._watcher: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id; it is also the id of the process group. Raises if never started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal's number if killed; None while running."""
        return None if self._child is None else self._child.poll()

    def start(self) -> "ManagedProcess":
        """Start it; returns as soon as the process exists. Raises TestbedError if it runs."""
        if self.running:
            raise TestbedError(f"{self.name} is running already (pid {self.pid})")
        started = threading.Event()
        failure: list[OSError | TestbedError] = []
        # The kernel's parent-death signal is tied to the *thread* that forked. This one lives as
        # long as the child, so a caller may start processes from a short-lived thread.
        self._watcher = threading.Thread(
            target=self._run, args=(started, failure), name=f"watch-{self.name}", daemon=True
        )
        self._watcher.start()
        started.wait()
        if failure:
            raise TestbedError(f"cannot start {self.name}: {failure[0]}") from failure[0]
        return self

    def _run(self, started: threading.Event, failure: list[OSError | TestbedError]) -> None:
        try:
            with self.log.open("ab") as output:
                child = self._spawn(output)
        except (OSError, TestbedError) as error:
            failure.append(error)
            started.set()
            return
        self._child = child
        started.set()
        child.wait()
        self._on_end()

    def _spawn(self, output: BinaryIO) -> Child:
        """Start it in a session of its own. Raises OSError, or TestbedError."""
        launch = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), self._mode]
        return subprocess.Popen(
            [*launch, *self.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,
        )

    def wait_ready(self, check: Callable[[], bool], *, deadline_seconds: float = 60) -> None:
        """Wait until ``check()`` is true; raises with the log's tail if it ends or takes longer."""

        def ready() -> bool:
            if not self.running:
                raise TestbedError(f"{self.name} ended before it was ready{self._post_mortem()}")
            return check()

        wait_until(
            ready,
            what=f"{self.name} to be ready",
            deadline_seconds=deadline_seconds,
            explain=self.log_tail,
        )

    def stop(self, *, grace_seconds: float = 30) -> None:
        """Ask it to stop, kill what is left of its group after ``grace_seconds``; idempotent."""
        if self._child is None:
            return
        self.signal(self._stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):  # then it is killed below
            self._child.wait(timeout=grace_seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the whole group and wait for the process to be gone; idempotent."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        if self._watcher is not None:
            self._watcher.join()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself (not its group); nothing if it has ended."""
        if self.running:
            self._started().send_signal(number)

    def wait(self, *, timeout_seconds: float) -> int:
        """Wait for it to end by itself; returns the exit code, raises TestbedError when late."""
        try:
            return self._started().wait(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TestbedError(
                f"{self.name} still runs after {timeout_seconds:g} s:\n{self.log_tail()}"
            ) from None

    def log_tail(self, *, lines: int = 20) -> str:
        """The last lines of the log, for messages."""
        try:
            with self.log.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _post_mortem(self) -> str:
        return f" (exit code {self.returncode}); its log {self.log} ends:\n{self.log_tail()}"

    def _started(self) -> Child:
        if self._child is None:
            raise TestbedError(f"{self.name} was not started")
        return self._child

    def __enter__(self) -> "ManagedProcess":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

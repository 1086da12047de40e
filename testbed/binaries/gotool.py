"""The Go tool: finding one that is new enough, running it with progress lines."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.errors import TestbedError
from testbed.process import ManagedProcess

_PROGRESS_SECONDS = 10.0
_INSTALL = "install Go 1.26 or newer (https://go.dev/dl) and put it on PATH"
_DEADLINE_SECONDS = 3600.0


def run_go(
    arguments: Sequence[str],
    *,
    folder: Path,
    progress: Callable[[float, int], None] = lambda _seconds, _lines: None,
) -> str:
    """Run ``go ARGUMENTS`` in ``folder`` and return its output, standard error included.

    ``progress(elapsed seconds, lines of output so far)`` is called about every ten seconds.
    Raises TestbedError with the last lines of output if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="learnops-go-") as scratch:
        log = Path(scratch) / "output"
        go = ManagedProcess(
            name=f"go {arguments[0]}",
            command=[find_go(), *arguments],
            log=log,
            env=_environment(),
            cwd=folder,
        )
        began = time.monotonic()
        with go:
            while go.running:
                if time.monotonic() - began > _DEADLINE_SECONDS:
                    raise TestbedError(f"{go.name} takes more than {_DEADLINE_SECONDS:g} s")
                with contextlib.suppress(TestbedError):
                    go.wait(timeout_seconds=_PROGRESS_SECONDS)
                    break
                progress(time.monotonic() - began, log.read_bytes().count(b"\n"))
        if go.returncode != 0:
            raise TestbedError(_explain(go))
        return log.read_text(errors="replace")


def find_go() -> str:
    """Path of the go command; raises TestbedError that says what to install."""
    found = shutil.which("go")
    if found is None:
        raise TestbedError(f"the testbed builds its binaries with Go, which is missing: {_INSTALL}")
    return found


def _environment() -> dict[str, str]:
    env = dict(os.environ)
    # GOFLAGS and GOWORK of somebody's other project would change what is built.
    env.update(CGO_ENABLED="0", GOFLAGS="", GOWORK="off")
    return env


def _explain(go: ManagedProcess) -> str:
    tail = go.log_tail()
    if "go.mod requires go >=" in tail or "unknown directive: tool" in tail:
        return f"the Go on PATH is too old: {_INSTALL}. It said:\n{tail}"
    return f"{' '.join(go.command)} failed with exit code {go.returncode}:\n{tail}"

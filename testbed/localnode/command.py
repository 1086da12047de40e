"""A pod's command as a local process that sees its volumes."""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from testbed.kubeapi import Json
from testbed.localnode.environment import expand
from testbed.localnode.volumes import Mount
from testbed.process import ManagedProcess

_ENTER = Path(__file__).with_name("_enter.py")
_MARK = "LEARNOPS_TESTBED_POD"  # in the environment of every process of a pod
_MESSAGE_BYTES = 4096
_LOG_BYTES, _LOG_LINES = 2048, 80  # of the log as a message; the limits of Kubernetes
_SWEEPS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """A pod's files: ``folder`` is its own and goes with it, the log stays."""

    folder: Path
    log: Path

    @property
    def message(self) -> Path:
        """What the container sees as its terminationMessagePath."""
        return self.folder / "termination-message"

    @property
    def start_error(self) -> Path:
        """Not empty if the command could not be started."""
        return self.folder / "start-error"

    @property
    def home(self) -> Path:
        """HOME of the command."""
        return self.folder / "home"


class Command:
    """The process of one pod. ``uid`` marks all that it starts, so that nothing of it is left."""

    def __init__(
        self,
        container: Json,
        *,
        uid: str,
        files: Files,
        environment: Mapping[str, str],
        mounts: Sequence[Mount],
        on_end: Callable[[], None],
    ) -> None:
        self._uid = uid
        self._files = files
        self._policy = container.get("terminationMessagePolicy", "File")
        files.message.touch()
        target = container.get("terminationMessagePath", "/dev/termination-log")
        shown = [*mounts, Mount(source=files.message, target=target, read_only=False)]
        parts = [*container["command"], *container.get("args", [])]
        self.process = ManagedProcess(
            name=f"pod {uid}",
            command=enter(
                [expand(part, environment) for part in parts],
                folder=files.folder,
                mounts=shown,
                working_folder=container.get("workingDir") or "/",
            ),
            log=files.log,
            env={**environment, _MARK: uid},
            on_end=on_end,
        )

    def kill(self) -> None:
        """Kill the process and everything it started, also what left its process group."""
        self.process.kill()
        for _ in range(_SWEEPS):
            left = [process for process in psutil.process_iter() if _marked(process, self._uid)]
            for process in left:
                with contextlib.suppress(psutil.Error):  # it has just ended
                    process.kill()
            if not left:
                return

    @property
    def start_error(self) -> str:
        """Why the command could not be started; empty if it was."""
        return _tail(self._files.start_error, _MESSAGE_BYTES)

    def message(self, *, succeeded: bool) -> str:
        """The termination message, as terminationMessagePolicy says."""
        told = _tail(self._files.message, _MESSAGE_BYTES)
        if told or succeeded or self._policy != "FallbackToLogsOnError":
            return told
        lines = _tail(self._files.log, _LOG_BYTES).splitlines(keepends=True)
        return "".join(lines[-_LOG_LINES:])


def enter(
    command: Sequence[str], *, folder: Path, mounts: Sequence[Mount], working_folder: str
) -> list[str | Path]:
    """The command line that mounts and becomes ``command``; ``folder`` is for its files."""
    root = folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    plan = {
        "owner": os.getpid(),
        "root": str(root),
        "error": str(folder / "start-error"),
        "mounts": [dataclasses.asdict(mount) | {"source": str(mount.source)} for mount in mounts],
        "folder": working_folder,
        "command": list(command),
    }
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    return [sys.executable, "-I", "-S", _ENTER, path]


def _marked(process: psutil.Process, uid: str) -> bool:
    try:
        return process.environ().get(_MARK) == uid
    except psutil.Error:  # ended, or another user's
        return False


def _tail(path: Path, size: int) -> str:
    """The last bytes of a file that may be missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""

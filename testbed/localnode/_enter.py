"""Becomes a pod's command, in a mount namespace where its volumes are at their paths.

A script of its own, run as ``python -I -S _enter.py PLAN`` where PLAN is a JSON file::

    {"owner": PID, "root": FOLDER, "error": FILE, "mounts": [{"source", "target", "read_only"}],
     "folder": WORKING_FOLDER, "command": [...]}

Nothing is created on the machine's own file systems: where a mount point is missing, the folder
that should have it is replaced, in this namespace, by a copy made of bind mounts.
"""

import ctypes
import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 0x20, 0x1000, 0x4000, 0x40000
_MS_RELATIME, _ST_RELATIME = 0x200000, 0x1000
_KEPT_FLAGS = 0x2 | 0x4 | 0x8 | 0x400 | 0x800  # nosuid nodev noexec noatime nodiratime
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_START_ERROR = 128

_libc = ctypes.CDLL(None, use_errno=True)


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, *, flags: int, kind: str | None = None) -> None:
    known = kind.encode() if kind else None
    done = _libc.mount(source.encode(), target.encode(), known, ctypes.c_ulong(flags), None)
    _call(f"mount on {target}", done)


def _unshare() -> None:
    """A mount namespace; with a user namespace around it, in which we are root, if need be."""
    if _libc.unshare(_CLONE_NEWNS) == 0:
        return
    uid, gid = os.getuid(), os.getgid()
    _call("user namespaces are not allowed", _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


class _Tree:
    """The file tree under construction; we are already chrooted into it."""

    def __init__(self, root: str) -> None:
        self._volumes: list[str] = []
        self._read_only: list[str] = []
        _copy("/", root)
        os.chroot(root)
        os.chdir("/")
        self._own = {Path("/").stat().st_dev}

    def mount(self, source: int, target: str, *, read_only: bool) -> None:
        """Show the file or folder behind the descriptor ``source`` at ``target``."""
        path = f"/proc/self/fd/{source}"
        point = self.make(target, folder=Path(path).is_dir())
        _mount(path, point, flags=_MS_BIND | _MS_REC)
        self._volumes.append(point)
        if read_only:
            self._read_only.append(point)

    def seal(self) -> None:
        """Make the read-only mounts so: last, because others may have their points in them."""
        for point in self._read_only:
            has = os.statvfs(point).f_flag
            keep = has & _KEPT_FLAGS | (_MS_RELATIME if has & _ST_RELATIME else 0)
            _mount("none", point, flags=_MS_BIND | _MS_REMOUNT | _MS_RDONLY | keep)

    def make(self, path: str, *, folder: bool) -> str:
        """The real path of ``path``, made if it is missing."""
        real = Path(os.path.realpath(path))
        if not real.exists():
            self._own_parent(real)
            real.parent.mkdir(parents=True, exist_ok=True)
            if folder:
                real.mkdir()
            else:
                real.touch()
        return str(real)

    def _own_parent(self, path: Path) -> None:
        parent = next(folder for folder in path.parents if folder.exists())
        in_volume = any(parent.is_relative_to(volume) for volume in self._volumes)
        if in_volume or parent.stat().st_dev in self._own:
            return
        scratch = Path("/.copy")
        scratch.mkdir()
        _copy(str(parent), str(scratch))
        self._own.add(scratch.stat().st_dev)
        _mount(str(scratch), str(parent), flags=_MS_BIND | _MS_REC)
        _call("unmount", _libc.umount2(str(scratch).encode(), _MNT_DETACH))
        scratch.rmdir()


def _copy(folder: str, copy: str) -> None:
    _mount("tmpfs", copy, flags=0, kind="tmpfs")
    with os.scandir(folder) as entries:
        for entry in entries:
            target = Path(copy, entry.name)
            if entry.is_symlink():
                target.symlink_to(Path(entry.path).readlink())
                continue
            if entry.is_dir(follow_symlinks=False):
                target.mkdir()
            else:
                target.touch()
            try:
                _mount(entry.path, str(target), flags=_MS_BIND | _MS_REC)
            except OSError as error:
                if error.errno != errno.ENOENT:  # removed in the meantime
                    raise


def _enter(plan: dict[str, Any]) -> None:
    _unshare()
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    ordered = sorted(plan["mounts"], key=lambda mount: mount["target"].count("/"))
    # Opened first: a mount may cover the source of another.
    sources = [os.open(mount["source"], os.O_PATH | os.O_CLOEXEC) for mount in ordered]
    tree = _Tree(plan["root"])
    for source, mount in zip(sources, ordered, strict=True):
        tree.mount(source, mount["target"], read_only=mount["read_only"])
    folder = tree.make(plan["folder"], folder=True)
    tree.seal()
    os.chdir(folder)
    # Again, because a change of credentials clears it.
    _call("prctl", _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0))
    if os.getppid() != plan["owner"]:
        raise OSError("the owner of this process is gone")


def main(argv: list[str]) -> None:
    """Mount and become the command; what goes wrong before that is written to the error file."""
    plan = json.loads(Path(argv[1]).read_text())
    report = os.open(plan["error"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    command = plan["command"]
    try:
        _enter(plan)
    except OSError as error:
        os.write(report, str(error.strerror or error).encode())
        sys.exit(_START_ERROR)
    try:
        os.execvp(command[0], command)  # noqa: S606  (no shell is meant)
    except OSError as error:
        os.write(report, f"cannot run {command[0]}: {error.strerror}".encode())
        sys.exit(_START_ERROR)


if __name__ == "__main__":
    main(sys.argv)

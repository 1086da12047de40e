"""Runs between fork and exec of every child: dies with its owner, and is never root if asked.

A script of its own, not a ``preexec_fn``: Python code between fork and exec of a process with
threads can deadlock. Started as ``python -I -S _launch.py OWNER_PID MODE COMMAND...`` where MODE is
``plain`` or ``user`` (a user namespace in which root appears as an ordinary user: PostgreSQL
refuses to run as root, and changing to another user could not read a home folder).
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_ORDINARY_ID = 1000


def _checked(result: int, what: str) -> None:
    if result != 0:
        sys.exit(f"{what} failed: {os.strerror(ctypes.get_errno())}")


def _become_ordinary_user(libc: ctypes.CDLL) -> None:
    uid, gid = os.getuid(), os.getgid()
    _checked(
        libc.unshare(_CLONE_NEWUSER),
        "PostgreSQL cannot run as root and a user namespace is not allowed here; "
        "run as an ordinary user: unshare",
    )
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_ORDINARY_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_ORDINARY_ID} {gid} 1")


def main(argv: list[str]) -> None:
    """Set the parent-death signal, check that the owner still lives, become the command."""
    owner, mode, command = int(argv[1]), argv[2], argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    if mode == "user" and os.getuid() == 0:
        _become_ordinary_user(libc)
    # Last, because a change of credentials clears it.
    _checked(libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl")
    if os.getppid() != owner:  # the owner died before the line above: nobody would send the signal
        sys.exit("the owner of this process is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606  (no shell is meant)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv)

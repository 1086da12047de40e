"""A file system that is nearly nothing, to be full at once."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(at: Path, *, options: str) -> Iterator[Path]:
    """A tmpfs at a folder that this makes; skips the test where only root may mount one."""
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("this system has no mount command")
    if done.returncode:
        pytest.skip(f"only root may mount a small file system: {done.stderr.strip()}")
    yield at
    subprocess.run(["umount", "-l", str(at)], check=True, timeout=60)

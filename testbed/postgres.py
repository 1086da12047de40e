"""A PostgreSQL server with pgvector, of any of the major versions that the testbed has."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import psutil
import psycopg

from testbed.binaries.cache import cache_root, fill_once
from testbed.binaries.postgres import PostgresPrograms, postgres_programs, wanted_major
from testbed.errors import TestbedError
from testbed.ports import LOOPBACK, free_port
from testbed.process import ManagedProcess
from testbed.workdir import WorkDir

# Durability against a power cut is not what tests are about; against kill -9 it stays.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "listen_addresses": LOOPBACK,
    "log_min_messages": "warning",
}
_KILLED_SECONDS = 10.0


class Postgres:
    """One server with a fresh data folder in ``work``; reachable over TCP on loopback.

    Its port and data stay the same over stop, kill and start. ``major`` is one of
    `testbed.binaries.postgres.MAJORS`; without it, that of LEARNOPS_TESTBED_POSTGRES.
    """

    def __init__(self, work: WorkDir, *, major: int | None = None) -> None:
        self._programs = postgres_programs(wanted_major() if major is None else major)
        self._data = work.path / "postgres"
        self.port = free_port()
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": ""}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = ManagedProcess(
            name="postgres",
            command=[self._programs["postgres"], "-D", self._data, *flags],
            log=work.logs / "postgres.log",
            as_ordinary_user=True,
            # "Fast": ends sessions instead of waiting for clients to leave.
            stop_signal=signal.SIGINT,
        )

    @property
    def major(self) -> int:
        """Its major version."""
        return self._programs.major

    def url(self, database: str = "postgres") -> str:
        """Connection URL of a database, as psycopg takes it."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> "Postgres":
        """Start and wait until it accepts connections; on a second call with the same data."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> None:
        """Start without waiting; makes the data folder the first time."""
        if not self._data.exists():
            shutil.copytree(_template(self._programs), self._data)
            self._data.chmod(0o700)  # the server insists
        self.process.start()

    def wait_ready(self, *, deadline_seconds: float = 60) -> None:
        """Wait until a connection works; raises TestbedError with the log's tail."""
        self.process.wait_ready(self._accepts, deadline_seconds=deadline_seconds)

    def stop(self) -> None:
        """Stop it in order; the data stays. Idempotent."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL it, as a crash; the data stays and is recovered by the next start.

        Every process of it: a session that outlived the server for a moment would answer once more.
        """
        family = self._stopped()
        self.process.kill()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=_KILLED_SECONDS)

    def freeze(self) -> None:
        """SIGSTOP every process of it: connections stay open, and nobody answers."""
        for process in self._stopped():
            with contextlib.suppress(psutil.NoSuchProcess):  # a session that ended just now
                process.suspend()

    def thaw(self) -> None:
        """Let it go on after `freeze`; idempotent, and without effect on one that does not run."""
        if not self.process.running:
            return
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):  # a session that ended just now
                process.resume()

    def _stopped(self) -> list[psutil.Process]:
        """The server, stopped so that it makes no session that nobody knows of, and the others."""
        psutil.Process(self.process.pid).suspend()
        return self._family()

    def _family(self) -> list[psutil.Process]:
        # Not the process group: each session of the server makes one of its own.
        server = psutil.Process(self.process.pid)
        return [server, *server.children(recursive=True)]

    def create_database(self, prefix: str = "test", *, template: str = "template1") -> str:
        """Make a database with a name nobody has; returns its URL.

        It is empty, or a copy of the database ``template``, to which nobody may be connected.
        """
        name = f"{prefix}_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            statement = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            names = (psycopg.sql.Identifier(it) for it in (name, template))
            connection.execute(statement.format(*names))
        return self.url(name)

    def backup(self, url: str, *, to: Path) -> None:
        """What docs/how-to/back-up-and-restore.md says: `pg_dump`, a consistent copy."""
        self._run("pg_dump", "--format=custom", f"--file={to}", f"--dbname={url}")

    def restore(self, url: str, *, of: Path) -> None:
        """The same for `pg_restore`: all of it or nothing, also beside clients that read."""
        flags = ["--clean", "--if-exists", "--single-transaction", "--no-owner"]
        patient = {"PGOPTIONS": "-c deadlock_timeout=60s"}
        self._run("pg_restore", *flags, f"--dbname={url}", str(of), settings=patient)

    def _run(
        self, program: str, *arguments: str, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        command = [str(self._programs[program]), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **settings},
        )
        if done.returncode != 0:
            raise TestbedError(f"{program} failed with exit code {done.returncode}: {done.stderr}")

    def _accepts(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _template(programs: PostgresPrograms) -> Path:
    """An initialised data folder, made once per user and version of the programs."""
    name = f"initdb-{programs.major}-{programs.origin}"
    return fill_once(
        cache_root() / "postgres" / name, lambda folder: _initialise(folder, programs["initdb"])
    )


def _initialise(folder: Path, program: Path) -> None:
    log = folder.with_name(f"{folder.name}.log")
    # The superuser needs no password: the server is on loopback, for tests only.
    flags = ["--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync"]
    initdb = ManagedProcess(
        name="initdb",
        command=[program, *flags, "-U", "postgres", "-D", folder],
        log=log,
        as_ordinary_user=True,
    )
    with initdb:
        code = initdb.wait(timeout_seconds=120)
    if code != 0:
        raise TestbedError(f"initdb failed with exit code {code}:\n{initdb.log_tail()}")
    log.unlink()

"""MLflow's tracking server as its manual sets it up for Postgres, in an environment of its own."""

import hashlib
import os
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import urllib3

from bench.report import say
from bench.rig import ROOT, Rig, tree_of
from testbed.binaries.cache import cache_root, fill_once
from testbed.errors import TestbedError
from testbed.ports import LOOPBACK, free_port
from testbed.process import ManagedProcess

_LOCK = ROOT / "requirements/mlflow.lock"
_INSTALL_SECONDS = 900.0
_PROGRESS_SECONDS = 10.0
_START_SECONDS = 180.0


@contextmanager
def mlflow_server(rig: Rig) -> Iterator[tuple[ManagedProcess, str]]:
    """The server and its URL, on a fresh database of the testbed's Postgres, with its defaults.

    Raises TestbedError where it cannot be installed or does not start.
    """
    python = _python()
    url = rig.stack.postgres.create_database("mlflow")
    port = free_port()
    artifacts = rig.stack.work.path / "mlflow"
    process = ManagedProcess(
        name="mlflow",
        command=[
            *(python, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)),
            *("--backend-store-uri", url.replace("postgresql://", "postgresql+psycopg2://", 1)),
            *("--default-artifact-root", artifacts),
        ],
        log=rig.stack.work.logs / f"mlflow-{port}.log",
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
    )
    say("   starting MLflow; the first start makes its tables")
    with process:
        base = f"http://{LOOPBACK}:{port}"
        process.wait_ready(lambda: _healthy(base), deadline_seconds=_START_SECONDS)
        yield process, base


def resident_mebibytes(process: ManagedProcess) -> float:
    """Resident memory of the server and its workers together."""
    return sum(float(each.memory_info().rss) for each in tree_of(process.pid)) / 2**20


def _healthy(base: str) -> bool:
    try:
        return urllib3.request("GET", f"{base}/health", timeout=2, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _python() -> Path:
    """The interpreter of an environment with what the lock file names, made once per user."""
    key = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = fill_once(
        cache_root() / "mlflow" / key,
        _install,
        waiting=lambda: say("   another process installs MLflow; waiting for it"),
    )
    return folder / "bin/python"


def _install(folder: Path) -> None:
    say("   installing MLflow by hash, once per user (630 MB)")
    venv.create(folder, with_pip=False, symlinks=True)
    uv = ManagedProcess(
        name="uv",
        command=[
            *(Path(sys.executable).with_name("uv"), "pip", "sync", "--require-hashes"),
            *("--python", folder / "bin/python", _LOCK),
        ],
        log=folder.with_name(f"{folder.name}.log"),
    )
    began = time.monotonic()
    with uv:
        while uv.running and time.monotonic() - began < _INSTALL_SECONDS:
            with suppress(TestbedError):
                uv.wait(timeout_seconds=_PROGRESS_SECONDS)
            say(f"   installing MLflow: {time.monotonic() - began:.0f} s")
    if uv.returncode != 0:
        raise TestbedError(
            "MLflow could not be installed, so nothing is compared; is the package index "
            f"reachable? uv said:\n{uv.log_tail()}"
        )

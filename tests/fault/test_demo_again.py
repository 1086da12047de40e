"""`make demo` right after one that was killed."""

import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from testbed.process import ManagedProcess
from testbed.waiting import wait_until
from tests.product import ROOT

WORKING = "simulated agents work"  # everything is up
PLAYING = "StepUp"


@contextmanager
def demo(log: Path) -> Iterator[ManagedProcess]:
    command = [sys.executable, "-m", "testbed.demo"]
    process = ManagedProcess(name="demo", command=command, log=log, cwd=ROOT)
    process.start()
    try:
        yield process
    finally:
        process.kill()


def wait_for(process: ManagedProcess, text: str) -> str:
    """Wait until the demo prints it; all that it printed."""

    def said() -> str:
        told = process.log.read_text()
        assert process.running or text in told, told
        return told if text in told else ""

    return wait_until(said, what=f"{text!r} of the demo", deadline_seconds=240)


def test_a_demo_works_right_after_one_that_was_killed(tmp_path: Path) -> None:
    before = folders()
    with demo(tmp_path / "first.log") as first:
        wait_for(first, WORKING)
        children = psutil.Process(first.pid).children(recursive=True)
        assert {"etcd", "kube-apiserver", "prometheus", "postgres"} <= set(names(children))
        left = folders() - before
        first.kill()
    with demo(tmp_path / "second.log") as second:
        told = wait_for(second, PLAYING)
        assert re.search(r"StepUp +CanaryDeployment/", told), told
        # By now nothing of the first is there: its processes died with it, its files were swept.
        wait_until(
            lambda: not any(child.is_running() for child in children),
            what="the first demo's processes to end",
            deadline_seconds=60,
        )
        # Other runs on this machine have folders of their own.
        assert left - folders()
        second.signal(signal.SIGTERM)
        assert second.wait(timeout_seconds=60) == 143


def names(processes: list[psutil.Process]) -> Iterator[str]:
    """Those of them that have not ended meanwhile, as a session of Postgres may."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            yield process.name()


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("learnops-testbed-*"))

"""Nothing outlives its owner, and a crashed run does not disturb the next."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from testbed.errors import TestbedError
from testbed.process import ManagedProcess
from testbed.waiting import wait_until
from testbed.workdir import WorkDir

ROOT = Path(__file__).parents[3]

# Starts PostgreSQL (whose server forks) in a thread that ends, then says where it all is.
OWNER = """
import sys, threading
from testbed.postgres import Postgres
from testbed.workdir import WorkDir
work = WorkDir()
server = Postgres(work)
thread = threading.Thread(target=server.start)
thread.start()
thread.join()
print(server.process.pid, work.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A temporary folder of these tests alone: a run beside them would sweep up what they left."""
    tmp_path_factory.getbasetemp()  # stays where it is for all tests
    folder = Path(tempfile.mkdtemp(prefix="learnops-apart-"))
    folder.chmod(0o711)  # PostgreSQL is run by an ordinary user
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # found anew
    yield
    shutil.rmtree(folder, ignore_errors=True)


def ended(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(psutil.pid_exists(pid) for pid in pids)


def start_owner() -> tuple[subprocess.Popen[str], list[int], Path]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    server = psutil.Process(int(pid))
    return owner, [server.pid, *(child.pid for child in server.children())], Path(folder)


def test_processes_die_with_an_owner_that_is_killed_and_the_next_run_cleans_up() -> None:
    owner, pids, folder = start_owner()
    assert len(pids) > 1
    owner.kill()
    owner.communicate()
    wait_until(ended(pids), what=f"processes {pids} to end", deadline_seconds=60)
    assert folder.exists()
    with WorkDir() as work:
        assert work.path.exists()
        assert not folder.exists()


def test_a_run_leaves_the_folder_of_a_living_run_alone() -> None:
    owner, pids, folder = start_owner()
    with WorkDir():
        assert (folder / "postgres" / "PG_VERSION").exists()
        assert psutil.pid_exists(pids[0])
    owner.kill()
    owner.communicate()


def test_a_folder_is_gone_when_its_owner_leaves() -> None:
    with WorkDir() as work:
        assert work.path.parent == Path(tempfile.gettempdir())
    assert not work.path.exists()


def shell(tmp_path: Path, script: str) -> ManagedProcess:
    return ManagedProcess(name="script", command=["sh", "-c", script], log=tmp_path / "log")


def test_what_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    process = shell(tmp_path, "trap '' TERM; sleep 600 & echo $!; wait; wait")
    process.start()
    wait_until(lambda: process.log_tail(), what="output", deadline_seconds=60)
    child = int(process.log_tail())
    process.stop(grace_seconds=0.2)
    assert process.returncode == -signal.SIGKILL
    wait_until(ended([child]), what="the child to end", deadline_seconds=60)


def test_an_end_before_readiness_shows_the_log(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo no such flag; exit 3")
    process.start()
    with pytest.raises(TestbedError, match=r"(?s)exit code 3.*no such flag"):
        process.wait_ready(lambda: False)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    process = ManagedProcess(name="x", command=["/no/such/tool"], log=tmp_path / "log")
    process.start()
    with pytest.raises(TestbedError, match="cannot run /no/such/tool: No such file"):
        process.wait_ready(lambda: False)


def test_a_process_can_be_started_again(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo started; exec sleep 600")
    for times in (1, 2):
        process.start()
        wanted = "\n".join(["started"] * times)
        wait_until(lambda: process.log_tail() == wanted, what=wanted, deadline_seconds=60)  # noqa: B023
        process.stop()
        assert process.returncode == -signal.SIGTERM


def test_a_process_is_in_a_group_of_its_own(tmp_path: Path) -> None:
    with shell(tmp_path, "exec sleep 600") as process:
        assert os.getpgid(process.pid) == process.pid  # Ctrl-C in a terminal does not reach it

"""A fork of a template is a process of its own, and ends with its owner."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from testbed.process import ManagedProcess
from testbed.template import LEARNOPS, ForkedProcess
from testbed.waiting import wait_until

ROOT = Path(__file__).parents[3]
DATABASE = {"LEARNOPS_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
# Of an API server that never answers: the operator waits for it.
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {}}]
current-context: none
"""
OWNER = """
import sys
from pathlib import Path
from testbed.template import LEARNOPS, ForkedProcess
folder = Path(sys.argv[1])
command = [*LEARNOPS, "operator", "--kubeconfig", folder / "kubeconfig", "--probe-port", "0"]
environment = {"LEARNOPS_DATABASE_URL": sys.argv[2]}
log = folder / "owned.log"
process = ForkedProcess(name="owned", command=command, log=log, env=environment).start()
print(process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def waiting(tmp_path: Path) -> list[str]:
    """What an operator is started with that waits for ever."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    kubeconfig = str(tmp_path / "kubeconfig")
    return [*LEARNOPS, "operator", "--kubeconfig", kubeconfig, "--probe-port", "0"]


def run(
    tmp_path: Path, kind: type[ManagedProcess], *arguments: str, **told: str
) -> tuple[int, str]:
    """Exit code and output."""
    log = tmp_path / f"{kind.__name__}.log"
    log.unlink(missing_ok=True)
    process = kind(name="learnops", command=[*LEARNOPS, *arguments], log=log, env=told)
    return process.start().wait(timeout_seconds=60), log.read_text()


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (("operator", "--help"), {}, 0),
        (("operator",), {}, 2),
        (("operator", "--tick-seconds", "0"), DATABASE, 2),
        (("operator",), DATABASE | {"LEARNOPS_DISABLE": "nothing"}, 2),
    ],
)
def test_it_says_what_the_command_says(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], code: int
) -> None:
    told = [
        run(tmp_path, kind, *arguments, **environment) for kind in (ManagedProcess, ForkedProcess)
    ]
    (command, fork) = ((found, text.replace("main.py", "learnops")) for found, text in told)
    assert command == fork
    assert fork[0] == code
    assert fork[1]


def test_forks_share_nothing_and_are_killed_alone(tmp_path: Path, waiting: list[str]) -> None:
    forks = [
        ForkedProcess(name=name, command=waiting, log=tmp_path / f"{name}.log", env=DATABASE)
        for name in ("first", "second")
    ]
    with forks[0] as first, forks[1] as second:
        assert os.getsid(first.pid) == first.pid != second.pid == os.getsid(second.pid)
        assert psutil.Process(first.pid).ppid() == psutil.Process(second.pid).ppid()
        for fork in forks:
            wait_until(lambda: "waiting" in fork.log_tail(), what="the log", deadline_seconds=30)  # noqa: B023
        assert opened(first.pid) & opened(second.pid) <= {"/dev/null"}
        first.kill()
        assert first.returncode == -signal.SIGKILL
        assert second.running
        second.stop()
        assert second.returncode == 0


def opened(pid: int) -> set[str]:
    """What its descriptors are of: files, pipes and sockets, the last two by their numbers."""
    told = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it closed that one just now
            told.add(str(link.readlink()))
    return {name for name in told if not name.startswith("anon_inode:")}


def test_a_fork_ends_with_its_owner(tmp_path: Path, waiting: list[str]) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), DATABASE["LEARNOPS_DATABASE_URL"]],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert psutil.pid_exists(pid)
    owner.kill()
    owner.communicate()
    wait_until(lambda: not psutil.pid_exists(pid), what=f"{pid} to end", deadline_seconds=60)


def test_another_command_is_started_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ForkedProcess(name="sh", command=["sh", "-c", "echo $0"], log=log, env={}) as process:
        assert process.wait(timeout_seconds=60) == 0
    assert log.read_text() == "sh\n"

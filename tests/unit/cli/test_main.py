"""The command as a process: an end from outside is a line and an exit code, and no traceback."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

LEARNOPS = [sys.executable, "-m", "learnops.cli.main"]
EXAMPLE = Path(__file__).parents[3] / "examples" / "evaluate"
EVALUATE = [
    *("evaluate", "--canary", str(EXAMPLE / "canary.yaml"), "--runs", str(EXAMPLE / "runs.csv")),
    *("--control", "planner-v1"),
]
DOER = "kind: Doer\nspec: {crl: {weights: {grounding: '1'}}}\n"


def learnops(*arguments: str, **how) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LEARNOPS, *arguments], stderr=subprocess.PIPE, text=True, timeout=120, check=False, **how
    )


def test_an_interrupt_ends_a_command_that_reads(tmp_path: Path) -> None:
    (tmp_path / "doer.yaml").write_text(DOER)
    command = [*LEARNOPS, "crl", "compute", "--doer", str(tmp_path / "doer.yaml")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever started the tests may have had the signal ignored.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("no bundle\n")
        process.stdin.flush()
        # It reads, now that it refuses.
        assert "line 1" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    # argparse lets an error of its own writes pass.
    [(EVALUATE, ""), (EVALUATE, "1"), (["--help"], ""), (["evaluate", "--help"], "")],
)
def test_a_full_disk_is_told_in_a_line(arguments: list[str], unbuffered: str) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = learnops(*arguments, stdout=full, env=environment)
    assert done.returncode == 1
    assert done.stderr == "learnops: the output cannot be written: No space left on device\n"


def test_output_that_nobody_reads_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = learnops(*EVALUATE, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("arguments", "code"), [(EVALUATE, 0), (["evaluate"], 2)])
def test_closed_output_goes_nowhere(arguments: list[str], code: int) -> None:
    done = learnops(*arguments, preexec_fn=partial(os.close, 1))
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_without_standard_error_a_message_is_not_taken_for_a_result(tmp_path: Path) -> None:
    command = [*LEARNOPS, "evaluate", "--canary", str(tmp_path / "none"), "--runs", "-"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, preexec_fn=partial(os.close, 2), timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")


def test_an_error_of_a_file_is_not_blamed_on_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from learnops.cli import main as cli

    def run(_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli, "_run", run)
    with pytest.raises(PermissionError):
        cli.main([])

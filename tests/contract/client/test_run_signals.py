"""`learnops run` and the signals by which images and supervisors end or turn their agents."""

import os
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from testbed.waiting import wait_until
from tests.contract.client.stand_in import StandInApi
from tests.patience import LEARNOPS_RUN


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
def test_the_command_gets_them_and_the_run_is_reported(
    api: StandInApi, tmp_path: Path, number: signal.Signals
) -> None:
    ready = tmp_path / "ready"
    name = number.name.removeprefix("SIG")
    script = f'trap "echo got {name}; exit 7" {name}; : > {ready}; while :; do sleep 0.05; done'
    child = subprocess.Popen(
        [*LEARNOPS_RUN, "--run-id", "r", "--", "sh", "-c", script],
        env={**os.environ, "LEARNOPS_API": api.url, "LEARNOPS_NAMESPACE": "agents"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What whoever started the tests ignores stays ignored.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    )
    with child:
        try:
            wait_until(ready.exists, what="the command's trap", deadline_seconds=60)
            child.send_signal(number)
            assert child.wait(60) == 7
        finally:
            with suppress(ProcessLookupError):  # all of its group have ended
                os.killpg(child.pid, signal.SIGKILL)
        assert child.stdout is not None
        assert child.stdout.read() == f"got {name}\n"
    assert api.runs["r"]["qav"] == {"exitCode": 7}

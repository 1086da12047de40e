"""`learnops run -- CMD`: agents that are not Python, here shell scripts."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.waiting import wait_until
from tests.contract.client.commands import SHOW, bundle, environment, run
from tests.contract.client.learners import unit
from tests.contract.client.stand_in import StandInApi
from tests.patience import LEARNOPS_RUN

__all__ = ["run"]  # fixtures


def test_the_policy_is_handed_on_and_the_run_reported(api: StandInApi, run: Any) -> None:
    api.serve(percent=50)
    told = {
        "metrics": {"grounding": 0.93},
        "gates": [{"name": "compiles", "passed": True}],
        "costs": {"costUSD": 0.02},
        "qav": {"asked": 3},
        "artifacts": [{"uri": "s3://bucket/plan"}],
        "budget": {"maxCostUSD": 10},
        "signals": {"compile": True, "tests": 0.5},
    }
    script = f'{SHOW}; cat "$LEARNOPS_POLICY_FILE"; {bundle(told)}'
    options = ("--run-id", unit("candidate"), "--tenant", "acme")
    done = run("sh", "-c", script, options=options)
    assert (done.returncode, done.stderr) == (0, "")
    shown, _, content = done.stdout.partition("{")
    assert shown.split() == [unit("candidate"), "candidate", "planner-v2", "model-2.0.0"]
    assert json.loads("{" + content) == {
        "name": "planner-v2",
        "version": "2.0.0",
        "digest": "v1:2.0.0",
        "model": "model-2.0.0",
        "prompts": {"system": "Plan well.", "fewShot": [{"input": "a", "output": "b"}]},
        "hparams": {"temperature": 0.6, "topK": 40},
        "toolsAllowlist": ["search"],
    }
    reported = api.runs[unit("candidate")]
    assert {name: reported[name] for name in told} == told
    assert (reported["arm"], reported["propensity"]) == ("candidate", 0.5)
    assert (reported["tenant"], reported["rollout"]) == ("acme", "canary-1.0")
    assert 0 < reported["durationMilliseconds"] < 60_000


def test_input_and_output_are_the_commands_own(api: StandInApi, run: Any) -> None:
    done = run("sh", "-c", "tr a-z A-Z; echo trouble >&2", stdin="a bridge\n")
    assert (done.stdout, done.stderr) == ("A BRIDGE\n", "trouble\n")


def test_a_command_that_says_nothing_has_completed(api: StandInApi, run: Any) -> None:
    assert run("true", options=("--run-id", "r")).returncode == 0
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": True}]
    assert api.runs["r"]["metrics"] == {}


def test_dashes_after_the_first_are_the_commands(api: StandInApi, run: Any) -> None:
    done = run("echo", "-n", "--", "--doer", "x")
    assert done.stdout.strip() in ("-- --doer x", "-n -- --doer x")


def test_an_exit_code_is_kept_and_passes_no_gate(api: StandInApi, run: Any) -> None:
    told = {
        "metrics": {"grounding": 1, "gatePassRate": 1},
        "gates": [{"name": "a", "passed": True}],
    }
    done = run("sh", "-c", bundle(told) + "exit 42", options=("--run-id", "r"))
    assert done.returncode == 42
    assert api.runs["r"]["metrics"] == {"grounding": 1, "gatePassRate": 0}
    assert api.runs["r"]["gates"] == [
        {"name": "a", "passed": True},
        {"name": "completed", "passed": False},
    ]
    assert api.runs["r"]["qav"] == {"exitCode": 42}


def test_a_command_that_dies_of_a_signal(api: StandInApi, run: Any) -> None:
    done = run("sh", "-c", "kill -KILL $$", options=("--run-id", "r"))
    assert done.returncode == 128 + signal.SIGKILL
    assert api.runs["r"]["qav"] == {"exitCode": 128 + signal.SIGKILL}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_forwarded(api: StandInApi, tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    name = number.name.removeprefix("SIG")
    script = f'trap "echo got {name}; exit 7" {name}; : > {ready}; while :; do sleep 0.05; done'
    child = subprocess.Popen(
        [*LEARNOPS_RUN, "--run-id", "r", "--", "sh", "-c", script],
        env=environment(api),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background it is ignored, and what is ignored stays so.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    )
    with child:
        wait_until(ready.exists, what="the command's trap", deadline_seconds=60)
        child.send_signal(number)
        assert child.stdout is not None
        assert child.stdout.read() == f"got {name}\n"
        assert child.wait(60) == 7
    assert api.runs["r"]["qav"] == {"exitCode": 7}


def test_the_token_is_not_handed_on(api: StandInApi, run: Any) -> None:
    done = run("env")
    assert "LEARNOPS_RUN_ID" in done.stdout
    assert "s3cret" not in done.stdout
    assert "token-of-the-pod" not in done.stdout
    assert {request["token"] for request in api.requests} == {"Bearer s3cret"}


def test_the_files_are_gone_afterwards_and_private_before(api: StandInApi, run: Any) -> None:
    script = 'dirname "$LEARNOPS_BUNDLE_FILE"; stat -c %a "$(dirname "$LEARNOPS_BUNDLE_FILE")"'
    folder, mode = run("sh", "-c", script).stdout.split()
    assert mode == "700"
    assert not Path(folder).exists()


def test_a_command_that_cannot_be_started_is_no_run(
    api: StandInApi, run: Any, tmp_path: Path
) -> None:
    script = tmp_path / "agent"
    script.write_text("#!/nowhere/interpreter\n")
    assert run("no-such-agent").returncode == 127
    assert run(str(script)).returncode == 126
    script.chmod(0o755)
    api.serve(percent=50)
    done = run(str(script), options=("--run-id", "r"))
    assert done.returncode == 126
    assert "No such file" in done.stderr
    assert api.voided == ["r"]  # nobody ran with it
    assert api.runs == {}


def test_what_is_missing_is_named(
    api: StandInApi, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("true", options=("--api", "nowhere"))
    assert done.returncode == 2
    assert "LEARNOPS_API" in done.stderr
    done = run("true", options=("--wait-seconds", "-1"))
    assert done.returncode == 2
    assert "is not a number of seconds" in done.stderr


LIGHT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Refuse())
from learnops.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


HEAVY = {
    "pydantic",
    "numpy",
    "scipy",
    "yaml",
    "kopf",
    "fastapi",
    "kubernetes",
    "psycopg",
    "aiohttp",
}


def test_the_sdk_alone_is_enough(api: StandInApi) -> None:
    script = LIGHT.replace("{HEAVY}", repr(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", script, *LEARNOPS_RUN[3:], "--run-id", "r", "--", "true"],
        env=environment(api),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(api.runs) == {"r"}


def test_kubectl_finds_it_as_a_plugin(api: StandInApi) -> None:
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [tools / "kubectl", "learnops", *LEARNOPS_RUN[3:], "--", "echo", "--", "-x"],
        env={**environment(api), "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "-- -x\n")
    assert len(api.runs) == 1

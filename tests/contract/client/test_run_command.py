"""`learnops run -- CMD`: agents that are not Python, here shell scripts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.waiting import wait_until
from tests.contract.client.api import Api
from tests.contract.client.test_routing import ASSIGNMENTS, unit

MODULE = [sys.executable, "-m", "learnops.cli.main", "run", "--doer", "planner"]
FALLBACK = {
    "apiVersion": "learnops.dev/v1alpha1",
    "kind": "Policy",
    "metadata": {"name": "planner-v0"},
    "spec": {
        "version": "0.9.0",
        "prompts": {"variants": [{"name": "base", "system": "Plan anyway."}]},
        "models": {"variants": [{"name": "small", "model": "model-0"}]},
    },
}
SHOW = 'printf "%s " "$LEARNOPS_RUN_ID" "$LEARNOPS_ARM" "$LEARNOPS_POLICY" "$LEARNOPS_MODEL"'
Start = Callable[..., "subprocess.Popen[str]"]


def environment(api: Api) -> dict[str, str]:
    return {
        **os.environ,
        "LEARNOPS_API": api.url,
        "LEARNOPS_NAMESPACE": "agents",
        "LEARNOPS_TOKEN": "s3cret",
        "LEARNOPS_TOKEN_FILE": "/nowhere/token-of-the-pod",
    }


@pytest.fixture
def run(api: Api) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run it to its end."""

    def to_its_end(
        *command: str, options: tuple[str, ...] = (), stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*MODULE, *options, "--", *command],
            env=environment(api),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
        )

    return to_its_end


def bundle(content: Any) -> str:
    """A command that writes a bundle."""
    return f"cat > \"$LEARNOPS_BUNDLE_FILE\" <<'END'\n{json.dumps(content)}\nEND\n"


def test_the_policy_is_handed_on_and_the_run_reported(api: Api, run: Any) -> None:
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


def test_input_and_output_are_the_commands_own(api: Api, run: Any) -> None:
    done = run("sh", "-c", "tr a-z A-Z; echo trouble >&2", stdin="a bridge\n")
    assert (done.stdout, done.stderr) == ("A BRIDGE\n", "trouble\n")


def test_a_command_that_says_nothing_has_completed(api: Api, run: Any) -> None:
    assert run("true", options=("--run-id", "r")).returncode == 0
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": True}]
    assert api.runs["r"]["metrics"] == {}


def test_dashes_after_the_first_are_the_commands(api: Api, run: Any) -> None:
    done = run("echo", "-n", "--", "--doer", "x")
    assert done.stdout.strip() in ("-- --doer x", "-n -- --doer x")


def test_an_exit_code_is_kept_and_passes_no_gate(api: Api, run: Any) -> None:
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


def test_a_command_that_dies_of_a_signal(api: Api, run: Any) -> None:
    done = run("sh", "-c", "kill -KILL $$", options=("--run-id", "r"))
    assert done.returncode == 128 + signal.SIGKILL
    assert api.runs["r"]["qav"] == {"exitCode": 128 + signal.SIGKILL}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_forwarded(api: Api, tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    name = number.name.removeprefix("SIG")
    script = f'trap "echo got {name}; exit 7" {name}; : > {ready}; while :; do sleep 0.05; done'
    child = subprocess.Popen(
        [*MODULE, "--run-id", "r", "--", "sh", "-c", script],
        env=environment(api),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background it is ignored, and what is ignored stays so.
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),
    )
    with child:
        wait_until(ready.exists, what="the command's trap", deadline_seconds=30)
        child.send_signal(number)
        assert child.stdout is not None
        assert child.stdout.read() == f"got {name}\n"
        assert child.wait(30) == 7
    assert api.runs["r"]["qav"] == {"exitCode": 7}


def test_a_signal_before_the_command_starts_starts_none(api: Api, tmp_path: Path) -> None:
    api.stop()  # it waits for a snapshot
    started = tmp_path / "started"
    child = subprocess.Popen(
        [*MODULE, "--wait-seconds", "3600", "--report-seconds", "0", "--", "touch", str(started)],
        env={**environment(api), "PYTHONPATH": str(_announcing(tmp_path))},
        start_new_session=True,
    )
    with child:
        wait_until((tmp_path / "armed").exists, what="signals", deadline_seconds=30)
        child.send_signal(signal.SIGTERM)
        try:
            assert child.wait(30) == 128 + signal.SIGTERM  # and not after an hour
        finally:
            child.kill()
    assert not started.exists()


def _announcing(folder: Path) -> Path:
    """A sitecustomize that tells when the handler of SIGTERM is set."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import pathlib, signal\n"
        "set_handler = signal.signal\n"
        "def told(number, handler):\n"
        "    before = set_handler(number, handler)\n"
        "    if number == signal.SIGTERM:\n"
        f"        pathlib.Path({str(folder / 'armed')!r}).touch()\n"
        "    return before\n"
        "signal.signal = told\n"
    )
    return site


def test_the_token_is_not_handed_on(api: Api, run: Any) -> None:
    done = run("env")
    assert "LEARNOPS_RUN_ID" in done.stdout
    assert "s3cret" not in done.stdout
    assert "token-of-the-pod" not in done.stdout
    assert {request["token"] for request in api.requests} == {"Bearer s3cret"}


def test_the_files_are_gone_afterwards_and_private_before(api: Api, run: Any) -> None:
    script = 'dirname "$LEARNOPS_BUNDLE_FILE"; stat -c %a "$(dirname "$LEARNOPS_BUNDLE_FILE")"'
    folder, mode = run("sh", "-c", script).stdout.split()
    assert mode == "700"
    assert not Path(folder).exists()


WRONG: dict[str, tuple[str, str]] = {
    "no JSON": ("{metrics", "is no JSON"),
    "a list": ("[]", "must be an object"),
    "unknown": ('{"metric": {}}', "'metric': must be one of metrics, gates, costs"),
    "metrics": ('{"metrics": []}', "metrics: must be an object"),
    "gates": ('{"gates": {}}', "gates: must be a list"),
    "a gate": ('{"gates": [{"name": "a"}]}', "gates[0]: must be an object of name and passed"),
    "passed": (
        '{"gates": [{"name": "a", "passed": "yes"}]}',
        "gates[0].passed: must be true or false",
    ),
    "gate name": (
        '{"gates": [{"name": "", "passed": true}]}',
        "gates[0].name: must be a name of 1 to 128 characters",
    ),
    "a rate": ('{"metrics": {"grounding": 7}}', "metrics.grounding: is 7; send a rate from 0 to 1"),
    "a cost": ('{"costs": {"costUSD": "1"}}', "costs.costUSD: is '1'; send a number"),
    "NaN": ('{"metrics": {"x": NaN}}', "NaN is no number"),
    "endless": ('{"metrics": {"x": 1e999}}', "metrics.x: must have finite numbers alone"),
    "budget": ('{"budget": {"cost": 1}}', "budget.cost: must be one of maxCostUSD"),
    "no budget": ('{"budget": {"maxCostUSD": 0}}', "budget.maxCostUSD: is 0"),
    "huge budget": ('{"budget": {"maxCostUSD": 1e16}}', "budget.maxCostUSD: must be at most 1e+15"),
    "artifact": ('{"artifacts": ["x"]}', "artifacts[0]: must be an object"),
    "deep": ('{"qav": {"x": ' + "[" * 9 + "]" * 9 + "}}", "must be nested at most 8 levels deep"),
    "deeper": ("[" * 100_000, "is no JSON"),
    "NUL": ('{"qav": {"x": "\\u0000"}}', "qav.x: must have no NUL character"),
    "surrogate": ('{"qav": {"x": "\\ud800"}}', "qav.x: must be valid Unicode text"),
    "long text": ('{"qav": {"x": "' + "x" * 65_537 + '"}}', "at most 65,536 characters"),
    "many": (json.dumps({"costs": {f"c{n}": n for n in range(200)}}), "at most 128 entries"),
    "large": (" " * 2**20, "must have at most 1,044,480 bytes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_bundle_is_named_and_the_run_reported(
    api: Api, run: Any, tmp_path: Path, case: str
) -> None:
    text, message = WRONG[case]
    (tmp_path / "bundle.json").write_text(text)
    copy = ["sh", "-c", f'cp {tmp_path}/bundle.json "$LEARNOPS_BUNDLE_FILE"']
    done = run(*copy, options=("--run-id", "r"))
    assert done.returncode == 0
    assert message in done.stderr
    assert done.stderr.startswith("learnops run: LEARNOPS_BUNDLE_FILE: ")
    assert done.stderr.endswith("; the run is reported without it\n")
    assert done.stderr.count("\n") == 1
    assert (api.runs["r"]["metrics"], api.runs["r"]["costs"]) == ({}, {})
    assert message[:20] in api.runs["r"]["qav"]["bundleProblem"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("mkfifo", "must be a plain file"),
        ("mkdir", "must be a plain file"),
        ("ln -s /etc/hostname", "cannot be read"),
    ],
)
def test_a_bundle_that_is_no_plain_file(api: Api, run: Any, make: str, message: str) -> None:
    done = run("sh", "-c", f'{make} "$LEARNOPS_BUNDLE_FILE"', options=("--run-id", "r"))
    assert done.returncode == 0
    assert message in done.stderr
    assert api.runs["r"]["gates"] == [{"name": "completed", "passed": True}]


def test_without_any_policy_the_command_is_not_started(api: Api, run: Any, tmp_path: Path) -> None:
    api.stop()
    started = tmp_path / "started"
    options = ("--wait-seconds", "0.2", "--report-seconds", "0.2")
    done = run("touch", str(started), options=options)
    assert done.returncode == 125
    assert not started.exists()
    assert "no policy of doer planner is known after 0.2 s" in done.stderr
    assert "give --fallback FILE" in done.stderr


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_dead_api_runs_the_fallback(api: Api, run: Any, tmp_path: Path, form: str) -> None:
    import yaml

    api.stop()
    manifest = tmp_path / f"policy.{form}"
    manifest.write_text(json.dumps(FALLBACK) if form == "json" else yaml.safe_dump(FALLBACK))
    link = tmp_path / "mounted"
    link.symlink_to(manifest)
    options = ("--fallback", str(link), "--wait-seconds", "0.2", "--report-seconds", "0.2")
    done = run("sh", "-c", f'{SHOW}; cat "$LEARNOPS_POLICY_FILE"; exit 3', options=options)
    assert done.returncode == 3
    assert done.stdout.split()[1:4] == ["control", "planner-v0", "model-0"]
    assert '"system": "Plan anyway."' in done.stdout
    assert "1 bundles wait in" in done.stderr
    api.start()
    assert run("true").returncode == 0
    late = [told for told in api.runs.values() if told["policy"] == "planner-v0"]
    assert [told["qav"] for told in late] == [{"exitCode": 3}]


def test_an_api_that_comes_in_time_gets_the_report_of_the_fallback(
    api: Api, run: Any, tmp_path: Path
) -> None:
    def never(handler: Any) -> None:
        handler.answer(503, {"detail": "no snapshot"})

    api.misbehave["/v1/snapshot"] = never
    manifest = tmp_path / "policy.json"
    manifest.write_text(json.dumps(FALLBACK))
    options = ("--run-id", "r", "--fallback", str(manifest), "--wait-seconds", "0.2")
    assert run("true", options=options).returncode == 0
    reported = api.runs["r"]
    assert (reported["policy"], reported["arm"], reported["propensity"]) == (
        "planner-v0",
        "control",
        0.0,
    )


def test_an_api_that_does_not_register_gives_control(api: Api, run: Any) -> None:
    api.serve(percent=50)
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(503, {"detail": "no database"})
    done = run("sh", "-c", SHOW, options=("--run-id", unit("candidate")))
    assert done.stdout.split()[1:3] == ["control", "planner-v1"]
    assert api.runs[unit("candidate")]["propensity"] == 0.0


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "is not there or empty"),
        ({**FALLBACK, "kind": "Doer"}, "must be one manifest of kind Policy"),
        ({**FALLBACK, "metadata": {}}, "manifest.metadata.name must be the name of the policy"),
        ({**FALLBACK, "spec": {"prompts": {"variants": [{}]}}}, "is malformed"),
    ],
)
def test_a_wrong_fallback_is_named(
    api: Api, run: Any, tmp_path: Path, manifest: Any, message: str
) -> None:
    path = tmp_path / "policy.json"
    if manifest is not None:
        path.write_text(json.dumps(manifest))
    done = run("true", options=("--fallback", str(path)))
    assert done.returncode == 2
    assert done.stderr.startswith(f"learnops run: --fallback {path}: ")
    assert message in done.stderr
    assert api.runs == {}


def test_a_command_that_cannot_be_started_is_no_run(api: Api, run: Any, tmp_path: Path) -> None:
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


def test_what_is_missing_is_named(api: Api, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_sdk_alone_is_enough(api: Api) -> None:
    script = LIGHT.replace("{HEAVY}", repr(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", script, *MODULE[3:], "--run-id", "r", "--", "true"],
        env=environment(api),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(api.runs) == {"r"}


def test_kubectl_finds_it_as_a_plugin(api: Api) -> None:
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [tools / "kubectl", "learnops", "run", "--doer", "planner", "--", "echo", "--", "-x"],
        env={**environment(api), "PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "-- -x\n")
    assert len(api.runs) == 1

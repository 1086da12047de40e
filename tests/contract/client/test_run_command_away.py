"""`learnops run -- CMD` where there is no policy yet, or never: the fallback, or no start."""

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from testbed.waiting import wait_until
from tests.contract.client.commands import FALLBACK, SHOW, environment, run
from tests.contract.client.learners import ASSIGNMENTS, unit
from tests.contract.client.stand_in import StandInApi
from tests.patience import LEARNOPS_RUN

__all__ = ["run"]  # fixtures


def test_a_signal_before_the_command_starts_starts_none(api: StandInApi, tmp_path: Path) -> None:
    api.stop()  # it waits for a snapshot
    started = tmp_path / "started"
    child = subprocess.Popen(
        [
            *LEARNOPS_RUN,
            "--wait-seconds",
            "3600",
            "--report-seconds",
            "0",
            "--",
            "touch",
            str(started),
        ],
        env={**environment(api), "PYTHONPATH": str(_announcing(tmp_path))},
        start_new_session=True,
    )
    with child:
        wait_until((tmp_path / "armed").exists, what="signals", deadline_seconds=60)
        child.send_signal(signal.SIGTERM)
        try:
            assert child.wait(60) == 128 + signal.SIGTERM  # and not after an hour
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


def test_without_any_policy_the_command_is_not_started(
    api: StandInApi, run: Any, tmp_path: Path
) -> None:
    api.stop()
    started = tmp_path / "started"
    options = ("--wait-seconds", "0.2", "--report-seconds", "0.2")
    done = run("touch", str(started), options=options)
    assert done.returncode == 125
    assert not started.exists()
    assert "no policy of doer planner is known after 0.2 s" in done.stderr
    assert "give --fallback FILE" in done.stderr


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_dead_api_runs_the_fallback(api: StandInApi, run: Any, tmp_path: Path, form: str) -> None:
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
    api: StandInApi, run: Any, tmp_path: Path
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


def test_an_api_that_does_not_register_gives_control(api: StandInApi, run: Any) -> None:
    api.serve(percent=50)
    api.misbehave[ASSIGNMENTS] = lambda handler: handler.answer(503, {"detail": "no database"})
    done = run("sh", "-c", SHOW, options=("--run-id", unit("candidate")))
    assert done.stdout.split()[1:3] == ["control", "planner-v1"]
    assert api.runs[unit("candidate")]["propensity"] == 0.0


def test_a_registration_may_take_what_is_left_of_the_wait(api: StandInApi, run: Any) -> None:
    def late(handler: Any) -> None:
        threading.Event().wait(1.0)  # beyond what an agent that serves many runs would wait
        handler.behave(ASSIGNMENTS)

    api.serve(percent=50)
    api.misbehave[ASSIGNMENTS] = late
    done = run("sh", "-c", SHOW, options=("--run-id", unit("candidate")))
    assert done.stdout.split()[1:3] == ["candidate", "planner-v2"]
    assert api.runs[unit("candidate")]["propensity"] == 0.5


def test_a_registration_that_does_not_come_ends_the_wait_with_control(
    api: StandInApi, run: Any
) -> None:
    go_on = threading.Event()
    api.serve(percent=50)
    api.misbehave[ASSIGNMENTS] = lambda _handler: go_on.wait(300)
    options = ("--run-id", unit("candidate"), "--wait-seconds", "10")
    done = run("sh", "-c", SHOW, options=options)  # which has an end
    go_on.set()
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
    api: StandInApi, run: Any, tmp_path: Path, manifest: Any, message: str
) -> None:
    path = tmp_path / "policy.json"
    if manifest is not None:
        path.write_text(json.dumps(manifest))
    done = run("true", options=("--fallback", str(path)))
    assert done.returncode == 2
    assert done.stderr.startswith(f"learnops run: --fallback {path}: ")
    assert message in done.stderr
    assert api.runs == {}

"""`learnops simulate` as a process, through the SDK, against the contract."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

from tests.contract.client.stand_in import StandInApi

MAIN = """
import argparse, sys
from functools import partial
import learnops.client
from learnops.cli import simulate
from tests.patience import PATIENT
learnops.client.Learner = partial(learnops.client.Learner, options=PATIENT)
parser = argparse.ArgumentParser()
simulate.add_parser(parser.add_subparsers())
parsed = parser.parse_args()
sys.exit(parsed.run(parsed))
"""
TRUTH = """
policies:
  planner-v1: {loss: 0.6, spread: 0.1}
  planner-v2: {loss: 0.2, spread: 0.1}
"""


def start(
    api: StandInApi, folder: Path, *arguments: str, truth: str = TRUTH
) -> subprocess.Popen[str]:
    path = folder / "truth.yaml"
    path.write_text(truth)
    environment = {**os.environ, "LEARNOPS_API": api.url, "LEARNOPS_NAMESPACE": "agents"}
    flags = ["--doer", "planner", "--truth", str(path), *arguments]
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, "simulate", *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def grounding(api: StandInApi, policy: str) -> list[float]:
    return [1 - one["metrics"]["grounding"] for one in api.runs.values() if one["policy"] == policy]


def test_every_run_is_registered_and_reported_with_its_policys_loss(
    api: StandInApi, tmp_path: Path
) -> None:
    api.serve(percent=50)
    process = start(api, tmp_path, "--rate", "500", "--runs", "400", "--seed", "7")
    *policies, total = finish(process)
    assert [one["policy"] for one in policies] == ["planner-v1", "planner-v2"]
    assert total["runs"] == sum(one["runs"] for one in policies) == 400 - total["notStarted"]
    assert set(api.registered) == set(api.runs)
    assert total["sdk"]["bundles_accepted"] == total["runs"]
    for policy, loss in (("planner-v1", 0.6), ("planner-v2", 0.2)):
        told = next(one for one in policies if one["policy"] == policy)
        assert abs(told["meanLoss"] - loss) < 0.05
        assert abs(fmean(grounding(api, policy)) - told["meanLoss"]) < 1e-9


def test_the_same_seed_gives_the_same_losses(api: StandInApi, tmp_path: Path) -> None:
    arguments = ("--rate", "500", "--runs", "50", "--seed", "3", "--run-prefix", "r")
    finish(start(api, tmp_path, *arguments))
    first, api.runs = api.runs, {}
    finish(start(api, tmp_path, *arguments))
    assert {name: run["metrics"] for name, run in api.runs.items()} == {
        name: run["metrics"] for name, run in first.items()
    }
    assert len(first) == 50


def test_sigterm_ends_it_with_nothing_lost(api: StandInApi, tmp_path: Path) -> None:
    process = start(api, tmp_path, "--rate", "200", truth=TRUTH.replace("0.1}", "0.1, seconds: 1}"))
    api.wait_for(lambda: len(api.runs) > 20, "some runs")
    process.send_signal(signal.SIGTERM)
    *_, total = finish(process)
    assert len(api.runs) == total["runs"] > 20


def test_crashes_are_never_reported_and_slow_failures_are(api: StandInApi, tmp_path: Path) -> None:
    truth = "policies: {planner-v1: {loss: 0.5, slow: 0.4, slowSeconds: 0.3, crash: 0.3}}"
    told, total = finish(start(api, tmp_path, "--rate", "30", "--runs", "150", truth=truth))
    assert told["crashed"] > 20
    assert told["slow"] > 45
    assert len(api.runs) == told["reported"] == total["runs"] - told["crashed"]
    failed = [one for one in api.runs.values() if one["gates"]]
    assert len(failed) == told["slow"]
    outlasted = failed[:-40]  # the others were cut short by the end of the schedule
    assert len(outlasted) > 5
    assert min(one["durationMilliseconds"] for one in outlasted) >= 250


def test_a_wrong_truth_or_environment_is_exit_code_2(api: StandInApi, tmp_path: Path) -> None:
    process = start(api, tmp_path, truth="policies: {}")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, "needs `policies`" in err) == (2, True)
    process = start(api, tmp_path, "--serving", "No Name")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, "serving is 'No Name'" in err) == (2, True)

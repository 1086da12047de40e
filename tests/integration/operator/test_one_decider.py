"""`learnops evaluate` ends several candidates at the run at which the operator ended them."""

import json
from pathlib import Path

import psycopg
import pytest
import yaml

from learnops.cli.main import main
from testbed.kubeapi import Json
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    first_policy,
    second_policy,
    serves,
    wait_stage,
    wait_status,
)

NAMES = ("planner-v1", "planner-v2", "planner-v3")
_EXPORT = """
SELECT policy, propensities, loss FROM deployment_routings WHERE rollout = %s ORDER BY seq
"""


def exported(folder: Path, objects: Objects, database: str, rollout: str) -> list[str]:
    (folder / "canary.yaml").write_text(yaml.safe_dump(objects.get("canarydeployments", "c1")))
    with psycopg.connect(database) as connection:
        rows = connection.execute(_EXPORT, (rollout,)).fetchall()
    lines = [
        json.dumps({"arm": arm, "propensity": propensity, "loss": loss})
        for arm, propensity, loss in rows
    ]
    (folder / "runs.ndjson").write_text("\n".join(lines))
    return ["--canary", str(folder / "canary.yaml"), "--runs", str(folder / "runs.ndjson")]


def all_runs(told: Json) -> int:
    mine = sum(one.get("runs", 0) for one in told["candidates"])
    return int(mine + told["candidates"][0].get("controlRuns", 0))


def test_max_runs_of_several_candidates_count_every_arm(
    operator: OperatorProcess,
    objects: Objects,
    run_log: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    second_policy(objects, "planner-v3")
    analysis = {**HALF["analysis"], "maxRuns": 100}
    candidates = [{"name": name} for name in NAMES[1:]]
    objects.canary(**{**HALF, "analysis": analysis, "candidateRefs": candidates})
    serves(objects, *NAMES)
    agents = Agents(objects=objects, database=run_log, losses=dict.fromkeys(NAMES, 0.4))
    salt = agents.work(runs=90)["salt"]
    told = wait_status(
        objects, "canarydeployments", "c1", lambda one: all_runs(one) == 90, what="90 runs read"
    )
    assert told["stage"] == "Canary"
    agents.work(runs=20)
    told = wait_stage(objects, "canarydeployments", "c1", "Inconclusive")
    assert told["history"][-1]["reason"] == "NoVerdict"

    arguments = exported(tmp_path, objects, run_log, salt)
    assert main(["evaluate", *arguments, "--control", "planner-v1", "-o", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(it["candidate"], it["verdict"], it["reason"], it["runs"]) for it in lines] == [
        (name, "Hold", "NoVerdict", 100) for name in NAMES[1:]
    ]

"""An auditor's way: export a canary and its run log, and come to the operator's verdict."""

import json
from pathlib import Path
from typing import Any

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
)

_EXPORT = """
SELECT t.policy, t.propensity, t.loss, c.contradictions
FROM deployment_routings t
LEFT JOIN crl_results c ON c.namespace = t.namespace AND c.run_id = t.run_id
WHERE t.rollout = %s ORDER BY t.seq
"""
_FUTILE: Json = {"futility": {"level": "0.10", "minImprovement": "0.1"}}
_GUARDED: Json = {"guardrails": [{"term": "contradictions"}]}
_ONE_LOOK: Json = {"method": "FixedHorizon", "maxRuns": 83}


def ended(
    objects: Objects, database: str, *, analysis: Json, losses: tuple[float, float], **agents: Any
) -> tuple[Json, str]:
    """A canary of planner-v2 that came to its end: its status, and its id in the run log."""
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    objects.canary(**{**HALF, "analysis": {**HALF["analysis"], **analysis}})
    serves(objects, "planner-v1", "planner-v2")
    truth = dict(zip(("planner-v1", "planner-v2"), losses, strict=True))
    at_work = Agents(objects=objects, database=database, losses=truth, **agents)
    salt: str = at_work.traffic()["salt"]
    at_work.until(lambda one: len(one["traffic"]["shares"]) == 1, what="the canary to end")
    stage = "Promoted" if losses[1] < losses[0] else "RolledBack"
    return wait_stage(objects, "canarydeployments", "c1", stage), salt


def exported(folder: Path, objects: Objects, database: str, rollout: str) -> list[str]:
    """The arguments that evaluate the canary as it stands in the cluster, and its log."""
    (folder / "canary.yaml").write_text(yaml.safe_dump(objects.get("canarydeployments", "c1")))
    with psycopg.connect(database) as connection:
        rows = connection.execute(_EXPORT, (rollout,)).fetchall()
    with (folder / "runs.ndjson").open("w") as file:
        for arm, propensity, loss, contradictions in rows:
            run = {"arm": arm, "propensity": propensity, "loss": loss}
            if contradictions is not None:
                run["terms"] = {"contradictions": contradictions}
            print(json.dumps(run), file=file)
    return ["--canary", str(folder / "canary.yaml"), "--runs", str(folder / "runs.ndjson")]


@pytest.mark.parametrize(
    ("analysis", "losses", "agents", "verdict"),
    [
        ({}, (0.6, 0.2), {}, "Promote"),
        ({}, (0.2, 0.6), {}, "Rollback"),
        (_FUTILE, (0.4, 0.4), {}, "Futile"),
        (
            _GUARDED,
            (0.4, 0.4),
            {"contradictions": {"planner-v1": 0.05, "planner-v2": 0.4}},
            "Rollback",
        ),
        (_ONE_LOOK, (0.6, 0.2), {}, "Promote"),
    ],
    ids=["better", "worse", "futile", "guardrail", "one-look"],
)
def test_an_export_gives_the_verdict_that_the_operator_came_to(
    operator: OperatorProcess,
    objects: Objects,
    run_log: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    analysis: Json,
    losses: tuple[float, float],
    agents: Json,
    verdict: str,
) -> None:
    status, rollout = ended(objects, run_log, analysis=analysis, losses=losses, **agents)
    arguments = exported(tmp_path, objects, run_log, rollout)
    assert main(["evaluate", *arguments, "--control", "planner-v1", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (candidate,) = status["candidates"]
    assert told["candidate"] == candidate["name"] == "planner-v2"
    assert told["verdict"] == candidate["verdict"] == verdict
    if verdict != "Promote":  # there the history tells what was done
        assert told["reason"] == status["history"][-1]["reason"]
    known = candidate["evidence"]
    if verdict == "Rollback":
        assert told["culprit"] == known["culprit"]
    if "promotePValue" in known:
        assert told["runs"] == 83
        assert told["evidence"]["pValues"]["promote"] == pytest.approx(
            float(known["promotePValue"]), rel=1e-2
        )
    # Whatever the operator had read by its tick, the verdict fell no later.
    assert told["runs"] <= candidate["runs"] + candidate["controlRuns"]

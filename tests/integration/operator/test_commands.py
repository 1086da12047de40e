"""`kubectl learnops …` beside the operator: what is typed, what it says, what comes of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from learnops.cli.main import main
from testbed.stack import Stack
from tests.integration.objects import Objects
from tests.integration.operator.agents import Agents
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.rollouts import (
    HALF,
    by_hand,
    canary_of,
    first_policy,
    second_policy,
    serves,
    wait_stage,
    wait_status,
)

CONTENT = "prompts:\n  variants:\n  - {name: base, system: You plan in two steps.}\n"


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Type = Callable[..., Said]


@pytest.fixture
def learnops(
    stack: Stack,
    objects: Objects,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Type:
    """Types a command as the cluster's admin, in the test's namespace."""
    monkeypatch.setenv("KUBECONFIG", str(stack.plane.kubeconfig))

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = main([*arguments, "-n", objects.namespace])
        told = capsys.readouterr()
        return Said(code, told.out, told.err)

    return run


def watching(stack: Stack, objects: Objects, *flags: str) -> "subprocess.Popen[str]":
    """`learnops watch planner` as a process without a terminal, once it has said something."""
    command = [sys.executable, "-m", "learnops.cli.main", "watch", "planner", "--interval", "0.2"]
    where = ["-n", objects.namespace, "--kubeconfig", str(stack.plane.kubeconfig)]
    process = subprocess.Popen([*command, *where, *flags], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def agents_of(objects: Objects, run_log: str, *, candidate: float) -> Agents:
    """Agents whose candidate has such a loss; control has 0.5."""
    losses = {"planner-v1": 0.5, "planner-v2": candidate}
    return Agents(objects=objects, database=run_log, losses=losses)


def test_from_a_file_to_the_active_policy(
    operator: OperatorProcess,
    stack: Stack,
    objects: Objects,
    run_log: str,
    learnops: Type,
    tmp_path: Path,
) -> None:
    first_policy(objects, rollout=HALF)
    file = tmp_path / "v2.yaml"
    file.write_text(CONTENT)
    create = ("policy", "create", "planner-v2", "--doer", "planner", "--from", str(file))
    create = (*create, "--version", "2.0.0", "--parent", "planner-v1")
    assert learnops(*create, "--dry-run", "server").out == (
        "policy planner-v2 can be created (dry run)\n"
    )
    assert learnops("promote", "planner-v2").err == (
        'learnops promote: policies.learnops.dev "planner-v2" not found '
        f"(namespace {objects.namespace})\n"
    )
    assert learnops(*create).code == 0
    assert objects.get("policies", "planner-v2")["spec"]["parentRef"] == {"name": "planner-v1"}
    assert "already exists" in learnops(*create).err
    told = learnops("policy", "active", "planner", "-o", "json")
    assert json.loads(told.out)["policy"] == "planner-v1"
    wait_stage(objects, "policies", "planner-v2", "Draft")
    dry = learnops("promote", "planner-v2", "--dry-run", "server")
    assert dry.out == (
        "doer planner would turn from planner-v1 to planner-v2: steps of 50 %; "
        "see `learnops watch planner`\n"
    )
    assert objects.get("doers", "planner")["spec"]["policyRef"] == {"name": "planner-v1"}
    assert "turned from planner-v1 to planner-v2: steps" in learnops("promote", "planner-v2").out
    watch = watching(stack, objects)
    serves(objects, "planner-v1", "planner-v2")
    wait_stage(objects, "canarydeployments", canary_of(objects, "planner-v2"), "Canary")
    row = learnops("get").out.splitlines()[1].split("   ")
    assert [row[0], row[1], row[3], row[4].strip()] == [
        *("planner", "planner-v1", "Canary", "planner-v2")
    ]
    refused = learnops("promote", "planner-v2")
    assert refused.code == 1
    assert "is under way, and only its evidence promotes. It waits for" in refused.err
    agents_of(objects, run_log, candidate=0.1).until(
        lambda one: one.get("activePolicy") == "planner-v2", what="the promotion"
    )
    out, _ = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert out.splitlines()[-1].endswith("Promoted; planner-v2 is active; verdict Promote")
    assert learnops("promote", "planner-v2").out == (
        "policy planner-v2 is active already; nothing was changed\n"
    )
    stages = {it["policy"]: it["stage"] for it in json.loads(_listed(learnops))}
    wait_stage(objects, "policies", "planner-v1", "Archived")
    assert stages["planner-v2"] == "Active"
    back = learnops("promote", "planner-v1")
    assert "it was active before planner-v2 and gets all runs at once" in back.out
    serves(objects, "planner-v1")


def _listed(learnops: Type) -> str:
    return learnops("policy", "list", "planner", "-o", "json").out


def test_worse_ends_the_watch_with_3_and_is_not_promoted_again(
    operator: OperatorProcess, stack: Stack, objects: Objects, run_log: str, learnops: Type
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    wait_stage(objects, "policies", "planner-v2", "Draft")
    assert learnops("promote", "planner-v2").code == 0
    watch = watching(stack, objects, "-o", "json")
    serves(objects, "planner-v1", "planner-v2")
    agents_of(objects, run_log, candidate=0.9).until(
        lambda one: len(one["traffic"]["shares"]) == 1, what="the candidate to lose its share"
    )
    out, _ = watch.communicate(timeout=60)
    assert watch.returncode == 3
    last = json.loads(out.splitlines()[-1])
    assert (last["stage"], last["verdict"]) == ("RolledBack", "Rollback")
    wait_stage(objects, "policies", "planner-v2", "Rejected")
    name = canary_of(objects, "planner-v2")
    for command in (
        ("promote", "planner-v2"),
        ("canary", "start", "planner", "--candidate", "planner-v2"),
    ):
        refused = learnops(*command)
        assert refused.code == 1
        assert f"policy planner-v2 was Rejected by canary {name} (" in refused.err
        assert f"`learnops canary retry {name}`" in refused.err
    report = learnops("canary", "report", name)
    assert "recommendation   rollback" in report.out
    told = json.loads(learnops("canary", "report", name, "-o", "json").out)
    (candidate,) = told["candidates"]
    assert candidate["difference"]["low"] > 0
    row = next(it for it in report.out.splitlines() if it.startswith("planner-v2 "))
    assert f"{candidate['runs']}" in row.split()
    assert f"{candidate['difference']['estimate']:+.3f}" in row
    assert learnops("canary", "retry", name).code == 0
    serves(objects, "planner-v1", "planner-v2")
    assert learnops("canary", "abort", name).code == 0
    serves(objects, "planner-v1")


def test_started_paused_resumed_and_aborted(
    operator: OperatorProcess, stack: Stack, objects: Objects, run_log: str, learnops: Type
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    wait_stage(objects, "policies", "planner-v2", "Draft")
    assert "there is nothing to prove" in (
        learnops("canary", "start", "planner", "--candidate", "planner-v1").err
    )
    start = ("canary", "start", "planner", "--candidate", "planner-v2", "--name", "c1")
    falling = learnops(*start, "--steps", "50,10")
    assert falling.code == 1
    assert "must rise from step to step" in falling.err
    assert learnops(*start, "--steps", "20,40", "--paused", "--dry-run", "server").out == (
        "canary c1 can be created (dry run): steps of 20, 40 %\n"
    )
    assert learnops(*start, "--steps", "20,40", "--paused").out == (
        "canary c1 created: steps of 20, 40 %; see `learnops canary resume c1`\n"
    )
    spec = objects.get("canarydeployments", "c1")["spec"]
    assert spec["analysis"]["maturationSeconds"] == HALF["analysis"]["maturationSeconds"]
    wait_status(
        objects,
        "canarydeployments",
        "c1",
        lambda told: "spec.run is Paused" in told.get("waitingFor", ""),
        what="the canary to wait",
    )
    assert "spec.run is Paused" in learnops("get", "planner").out
    second = learnops("canary", "start", "planner", "--candidate", "planner-v2")
    assert "it waits for canary c1, which goes first" in second.err
    generated = second.out.split()[1]
    assert generated.startswith("planner-v2-")
    assert learnops("canary", "abort", generated).code == 0
    wait_stage(objects, "canarydeployments", generated, "Aborted")
    assert learnops("canary", "resume", "c1").out == "canary c1 is running\n"
    told = serves(objects, "planner-v1", "planner-v2")
    assert [it["percent"] for it in told["traffic"]["shares"]] == [80, 20]
    wait_stage(objects, "canarydeployments", "c1", "Canary")
    timed_out = learnops("watch", "planner", "--timeout", "0.5", "--interval", "0.2")
    assert timed_out.code == 5
    assert "c1  Canary; planner-v2 20 %" in timed_out.out
    watch = watching(stack, objects)
    assert learnops("canary", "pause", "c1").code == 0
    assert objects.get("canarydeployments", "c1")["spec"]["run"] == "Paused"
    assert learnops("canary", "abort", "c1", "--id", "enough").code == 0
    out, _ = watch.communicate(timeout=60)
    assert watch.returncode == 4
    assert "c1  Aborted" in out.splitlines()[-1]
    serves(objects, "planner-v1")
    for order in ("abort", "pause", "resume"):
        assert learnops("canary", order, "c1").err == (
            f"learnops canary {order}: canary c1 has ended Aborted: there is nothing to {order}\n"
        )
    over = learnops("watch", "planner", "--canary", "c1")
    assert over.code == 4
    nothing = learnops("watch", "planner")
    assert nothing.code == 6
    assert nothing.out.endswith("no rollout is live: planner-v1 is active\n")


def test_a_shadow_stage_comes_first(
    operator: OperatorProcess, objects: Objects, run_log: str, learnops: Type
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    wait_stage(objects, "policies", "planner-v2", "Draft")
    told = learnops(
        *("shadow", "start", "planner", "--candidate", "planner-v2", "--name", "c1"),
        *("--pairs", "20"),
    )
    assert told.out == (
        "canary c1 created: 20 pairs in shadow, then steps of 50 %; see `learnops canary report c1`"
        "\n"
    )
    status = wait_stage(objects, "canarydeployments", "c1", "Shadow")
    assert status["shadow"]["pairs"] == 0
    assert "shadow           0 pairs, going on" in learnops("canary", "report", "c1").out
    row = learnops("get", "planner").out.splitlines()[1]
    assert "Shadow   planner-v2   0 %" in row
    few = learnops("shadow", "start", "planner", "--candidate", "planner-v2", "--pairs", "2")
    assert few.code == 1
    assert "minRuns" in few.err


def test_gitops_owns_what_it_applies(
    operator: OperatorProcess, objects: Objects, learnops: Type
) -> None:
    first_policy(objects, rollout=HALF)
    second_policy(objects)
    labels = {
        "kustomize.toolkit.fluxcd.io/name": "agents",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    objects.api.merge(objects.path("doers", "planner"), {"metadata": {"labels": labels}})
    told = learnops("promote", "planner-v2")
    assert told.err == (
        "learnops promote: Doer planner is applied by Flux Kustomization flux-system/agents, which "
        "would undo it: set spec.policyRef to planner-v2 in git\n"
    )
    assert objects.get("doers", "planner")["spec"]["policyRef"] == {"name": "planner-v1"}


def test_rights_are_the_callers_own(
    operator: OperatorProcess,
    stack: Stack,
    objects: Objects,
    learnops: Type,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    by_hand(objects, rollout=HALF)
    stack.plane.kubectl("create", "serviceaccount", "nobody", f"--namespace={objects.namespace}")
    nobody = stack.plane.kubeconfig_for_service_account(objects.namespace, "nobody")
    monkeypatch.setenv("KUBECONFIG", str(nobody))
    told = learnops("canary", "abort", "c1")
    assert told.code == 1
    assert "is forbidden: User" in told.err
    assert "action" not in objects.get("canarydeployments", "c1")["spec"]
    config = yaml.safe_load(nobody.read_text())
    config["users"][0]["user"] = {"token": "expired"}
    old = tmp_path / "config"
    old.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(old))
    assert learnops("watch", "planner").err.startswith(
        "learnops watch: the API server does not know you"
    )
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    assert "set KUBECONFIG to a file" in learnops("get").err

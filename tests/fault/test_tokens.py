"""The whole product without a development token: agents are accounts whose tokens rotate."""

from pathlib import Path

from testbed.stack import Stack
from tests.accounts import Accounts
from tests.fault.conftest import StartProduct
from tests.integration.objects import Objects
from tests.product import Installation

ROLLOUT = {
    "strategy": {"canary": {"steps": [50], "stepSeconds": 0}},
    "analysis": {"maturationSeconds": 30, "minCandidateRuns": 20},
}


def test_a_rollout_under_rotating_tokens_and_none_in_any_log(
    stack: Stack, start_product: StartProduct, objects: Objects, tmp_path: Path
) -> None:
    accounts, token = Accounts(kube=stack.plane.api), tmp_path / "token"
    namespace = objects.namespace
    for name in ("blue", "green"):
        accounts.bind("learnops-agent", within=namespace, namespace=namespace, name=name)
    token.write_text(accounts.token(namespace, "blue"))
    kubeconfig = stack.plane.kubeconfig_for_service_account("learnops-system", "learnops-api")
    installed = start_product(
        api_flags=("--kubeconfig", str(kubeconfig), "--access-seconds", "1"),
        environment={
            "LEARNOPS_DEV_TOKEN": "",
            "LEARNOPS_TOKEN": "",
            "LEARNOPS_TOKEN_FILE": str(token),
        },
    )
    installed.doer("planner", rollout=ROLLOUT)
    truth = installed.truth(planner_v1=0.7, planner_v2=0.2)
    installed.product.start_agents("planner", truth=truth, count=1, rate=30)
    installed.wait(lambda: runs(installed) > 30, "runs under the first account")
    accounts.delete(namespace, "blue")
    installed.wait(
        lambda: "401" in (tmp_path / "agent-planner-1.log").read_text(),
        "the first account to be nobody",
    )
    refused_at = runs(installed)
    token.write_text(accounts.token(namespace, "green"))
    installed.wait(lambda: runs(installed) > refused_at, "runs under the second account")
    installed.roll_out("planner")
    assert installed.wait_end("planner") == "Promoted"
    logs = {path.name: path.read_text() for path in tmp_path.rglob("*.log")}
    assert {"api.log", "operator.log", "agent-planner-1.log"} <= logs.keys()
    assert {name: accounts.leaked(text) for name, text in logs.items()} == dict.fromkeys(logs, 0)


def runs(installed: Installation) -> int:
    """How many are stored."""
    return int(installed.sql("SELECT count(*) FROM runs")[0][0])

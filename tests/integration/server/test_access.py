"""Service accounts of two tenants before an api that Kubernetes tells who they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from learnops.client import Learner
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.accounts import Accounts
from tests.databases import migrated_database
from tests.integration.server.conftest import Answer, Api, launch
from tests.live_doer import WEIGHTS, LiveDoer
from tests.unit.server.routes import Asks, rows

ACCESS_SECONDS = 1.0
LEASE = ("--lease-namespace", "learnops-system", "--lease-name", "learnops-operator")


@dataclass(frozen=True, kw_only=True)
class Tenants:
    """Two namespaces with a doer `planner` each; `ours` has a live canary."""

    api: Api
    accounts: Accounts
    ours: LiveDoer
    theirs: str

    @property
    def namespace(self) -> str:
        return self.ours.namespace

    def ask(self, name: str, row: Asks, *, token: str) -> Answer:
        """One of the rows of `routes.py`."""
        return self.api.call(name.partition(" ")[0], row.path, body=row.body, token=token)

    def report(self, run_id: str, *, token: str, **changes: Any) -> Answer:
        """POST /v1/runs."""
        return self.api.post("/v1/runs", self.ours.bundle(run_id, **changes), token=token)

    def runs(self, namespace: str) -> int:
        """How many are stored."""
        with psycopg.connect(self.ours.database) as connection:
            found = connection.execute(
                "SELECT count(*) FROM runs WHERE namespace = %s", (namespace,)
            ).fetchone()
        assert found is not None
        return int(found[0])


@pytest.fixture(scope="module")
def tenants(
    crds: Stack, operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenants]:
    """The api has the rights of config/rbac.yaml alone; in the end no token is in its log."""
    ours, theirs = crds.namespace("ours"), crds.namespace("theirs")
    database = migrated_database(crds.postgres)
    log = tmp_path_factory.mktemp("access") / "api.log"
    api = launch(
        url=database,
        kubeconfig=crds.plane.kubeconfig_for_service_account("learnops-system", "learnops-api"),
        namespace=ours,
        log=log,
        flags=("--namespace", theirs, *LEASE, "--access-seconds", str(ACCESS_SECONDS)),
        token=None,
    )
    api.start()
    accounts = Accounts(kube=crds.plane.api)
    world = LiveDoer(kube=crds.plane.api, namespace=ours, database=database)
    world.setup()
    other = LiveDoer(kube=crds.plane.api, namespace=theirs, database=database)
    spec = {"policyRef": {"name": "planner-v1"}, "crl": {"weights": WEIGHTS}}
    other.create("doers", "Doer", "planner", spec)
    other.create_policy(1)
    other.traffic(revision=1, percent=0)
    for role in ("learnops-agent", "learnops-reader"):
        accounts.bind(role, within=ours, namespace=ours, name="agent")
        accounts.bind(role, within=theirs, namespace=theirs, name="agent")
    made = Tenants(api=api, accounts=accounts, ours=world, theirs=theirs)
    for namespace in (ours, theirs):
        path = f"/v1/snapshot?namespace={namespace}&doer=planner"
        token = accounts.token(namespace)
        unknown = f"/v1/runs/none?namespace={namespace}"
        wait_until(
            lambda path=path, unknown=unknown, token=token: (
                api.get(path, token=token).status == 200
                and api.get(unknown, token=token).status == 404
            ),
            what="the api to see the doer, and both rights of the agent",
            deadline_seconds=30,
            explain=api.process.log_tail,
        )
    yield made
    written = log.read_text() + str(api.get("/metrics", token=None).body)
    assert accounts.leaked(written) == 0
    assert accounts.leaked(written + accounts.issued[-1]) == 1, "the search finds what is there"
    api.process.stop()
    for namespace in (ours, theirs):
        crds.plane.delete_namespace(namespace)


def test_an_agent_does_what_agents_do(tenants: Tenants) -> None:
    token = tenants.accounts.token(tenants.namespace)
    here = {"namespace": tenants.namespace, "doer": "planner"}
    assigned = tenants.api.post(
        "/v1/assignments", {**here, "runs": [{"runId": "a-1"}]}, token=token
    )
    assert assigned.body["assignments"][0]["registered"] is True
    assert tenants.report("a-1", token=token).status == 201
    read = tenants.api.get(f"/v1/runs/a-1?namespace={tenants.namespace}", token=token)
    assert (read.status, read.body["doer"]) == (200, "planner")


@pytest.mark.parametrize("name", rows("any"))
def test_no_route_lets_a_tenant_into_another_ones_namespace(tenants: Tenants, name: str) -> None:
    ours, theirs = (tenants.accounts.token(it) for it in (tenants.namespace, tenants.theirs))
    bundle = {"namespace": tenants.theirs, "runId": "r"}
    assert tenants.report("r", token=theirs, **bundle).status in (200, 201)
    before = tenants.runs(tenants.theirs)
    row = rows(tenants.theirs)[name]
    refused = tenants.ask(name, row, token=ours)
    assert refused.status == 403, refused.body
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.body["missing"] == {
        "verb": row.need.verb.value,
        "group": "learnops.dev",
        "resource": "doers",
        "namespace": tenants.theirs,
        "name": row.need.doer,
    }
    assert tenants.runs(tenants.theirs) == before
    assert tenants.ask(name, row, token=theirs).status not in (401, 403)


def test_who_may_not_read_learns_not_even_what_exists(tenants: Tenants) -> None:
    ours, theirs = (tenants.accounts.token(it) for it in (tenants.namespace, tenants.theirs))
    bundle = {"namespace": tenants.theirs, "runId": "known"}
    tenants.report("known", token=theirs, **bundle)
    answers = [
        tenants.api.get(f"/v1/runs/{run}?namespace={tenants.theirs}", token=ours)
        for run in ("known", "unknown")
    ]
    assert [each.status for each in answers] == [403, 403]
    assert answers[0].body == answers[1].body


@pytest.mark.parametrize(
    "audiences", [(), ("vault",), ("https://kubernetes.default.svc",), ("learnops2",)]
)
def test_a_token_for_somebody_else_is_nobodys(tenants: Tenants, audiences: tuple[str, ...]) -> None:
    token = tenants.accounts.token(tenants.namespace, audiences=audiences)
    answer = tenants.report("never", token=token)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.body["detail"] == (
        "this token is not known, has expired, or was issued for another audience"
    )


def test_one_token_may_be_for_two(tenants: Tenants) -> None:
    both = ("learnops", "https://kubernetes.default.svc")
    token = tenants.accounts.token(tenants.namespace, audiences=both)
    assert tenants.report("for-two", token=token).status == 201


def test_an_admin_of_the_cluster_is_nobody_without_the_audience(
    tenants: Tenants, crds: Stack
) -> None:
    assert tenants.report("never", token=crds.plane.token).status == 401


@pytest.mark.parametrize("made_up", ["x", "a.b.c", "é", "x" * 20_000])
def test_a_made_up_token(tenants: Tenants, made_up: str) -> None:
    header = {"Authorization": f"Bearer {made_up}".encode().decode("latin-1")}
    answer = tenants.api.get("/v1/nothing", token=None, headers=header)
    assert answer.status == 401
    forged = tenants.accounts.token(tenants.namespace)
    assert tenants.report("never", token=forged[:-4] + "AAAA").status == 401


def test_a_deleted_account_is_nobody_once_it_is_asked_again(tenants: Tenants) -> None:
    token = tenants.accounts.token(tenants.namespace, "leaving")
    tenants.accounts.bind(
        "learnops-agent", within=tenants.namespace, namespace=tenants.namespace, name="leaving"
    )
    wait_status(tenants, "left-1", token=token, status=201)
    tenants.accounts.delete(tenants.namespace, "leaving")
    # The API server itself remembers a good token for ten seconds.
    wait_status(tenants, "left-1", token=token, status=401)


def test_a_right_that_is_given_and_taken(tenants: Tenants) -> None:
    token = tenants.accounts.token(tenants.namespace, "guest")
    answer = tenants.report("guest-1", token=token)
    assert (answer.status, answer.body["title"]) == (403, "Forbidden")
    assert answer.body["detail"] == (
        f"'system:serviceaccount:{tenants.namespace}:guest' may not ingest doers.learnops.dev "
        f"'planner' in namespace '{tenants.namespace}'; bind it there to a Role with the rule "
        "{apiGroups: [learnops.dev], resources: [doers], verbs: [ingest]}"
    )
    assert "system:authenticated" not in str(answer.body)
    binding = tenants.accounts.bind(
        "learnops-agent", within=tenants.namespace, namespace=tenants.namespace, name="guest"
    )
    wait_status(tenants, "guest-1", token=token, status=201)
    tenants.accounts.kube.delete(binding)
    wait_status(tenants, "guest-1", token=token, status=403)


def test_a_right_in_another_namespace_is_one_there(tenants: Tenants) -> None:
    token = tenants.accounts.token(tenants.theirs, "visitor")
    tenants.accounts.bind(
        "learnops-agent", within=tenants.namespace, namespace=tenants.theirs, name="visitor"
    )
    wait_status(tenants, "visit-1", token=token, status=201)
    at_home = tenants.report("visit-2", token=token, namespace=tenants.theirs)
    assert at_home.status == 403


def test_a_right_on_one_doer(tenants: Tenants) -> None:
    here, name = tenants.namespace, "narrow"
    token = tenants.accounts.token(here, name)
    tenants.accounts.role(here, name, doers=["planner"], verbs=["ingest", "read"])
    tenants.accounts.bind(name, within=here, namespace=here, name=name, kind="Role")
    wait_status(tenants, "narrow-1", token=token, status=201)
    assert tenants.report("narrow-2", token=token, doer="coder").status == 403
    assert tenants.api.get(f"/v1/runs/narrow-1?namespace={here}", token=token).status == 200
    hidden = tenants.api.get(f"/v1/runs/narrow-2?namespace={here}", token=token)
    assert (hidden.status, hidden.body["missing"]["name"]) == (403, None)
    batch = [
        tenants.ours.bundle("narrow-3"),
        tenants.ours.bundle("narrow-4", doer="coder"),
        {"runId": "nothing else"},
        tenants.ours.bundle("narrow-5", namespace=tenants.theirs),
    ]
    answer = tenants.api.post("/v1/runs:batch", {"runs": batch}, token=token)
    statuses = [each["status"] for each in answer.body["results"]]
    assert statuses == ["accepted", "forbidden", "invalid", "forbidden"]
    refused = answer.body["results"][1]
    assert (refused["runId"], refused["problem"]["missing"]["name"]) == ("narrow-4", "coder")
    whole = tenants.api.post("/v1/runs:batch", {"runs": batch[1:]}, token=token)
    assert whole.status == 403


def test_the_sdk_goes_on_with_a_token_that_was_replaced(
    tenants: Tenants, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, path = tenants.namespace, tmp_path / "token"
    for name in ("early", "late"):
        tenants.accounts.bind("learnops-agent", within=here, namespace=here, name=name)
    path.write_text(tenants.accounts.token(here, "early"))
    with Learner("planner", api=tenants.api.url, token_file=str(path), namespace=here) as learner:
        with learner.start() as run:
            run.finish(metrics={})
        assert learner.flush(30)
        tenants.accounts.delete(here, "early")
        wait_until(
            lambda: tenants.report("early-1", token=path.read_text()).status == 401,
            what="the first token to be worth nothing",
            deadline_seconds=30,
        )
        with learner.start() as run:
            run.finish(metrics={})
        wait_until(
            lambda: "401 this token is not known" in caplog.text,
            what="the SDK to be told so",
            deadline_seconds=30,
        )
        assert not learner.flush(1), "it is kept, not dropped"
        path.write_text(tenants.accounts.token(here, "late"))
        assert learner.flush(30)
        assert learner.stats()["bundles_accepted"] == 2
    assert tenants.accounts.leaked(caplog.text) == 0


def test_example_account_may_do_what_it_says(tenants: Tenants, crds: Stack) -> None:
    """The RoleBinding and the audience of examples/agent."""
    folder = Path(__file__).parents[3] / "examples" / "agent"
    rendered = crds.plane.kubectl("kustomize", str(folder)).stdout
    rendered = re.sub(r"namespace: agents\b", f"namespace: {tenants.namespace}", rendered)
    crds.plane.kubectl("apply", "--server-side", "--filename=-", stdin=rendered)
    (audience,) = re.findall(r"audience: (\S+)", rendered)
    token = tenants.accounts.token(tenants.namespace, "planner-agent", audiences=(audience,))
    wait_status(tenants, "example-1", token=token, status=201)
    reading = tenants.api.get(f"/v1/runs/example-1?namespace={tenants.namespace}", token=token)
    assert reading.status == 403


def wait_status(tenants: Tenants, run_id: str, *, token: str, status: int) -> None:
    """Report one run until that is the answer; a repetition of an accepted one is 200."""
    good = (200, 201) if status == 201 else (status,)
    wait_until(
        lambda: tenants.report(run_id, token=token).status in good,
        what=f"{run_id} to be answered {status}",
        deadline_seconds=30,
    )

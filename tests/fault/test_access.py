"""Kubernetes does not answer the api's questions: never an open door, and never a 401."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from testbed.faultproxy import FaultProxy
from testbed.faults import Slow
from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.accounts import Accounts
from tests.integration.server.conftest import Answer, Api, launch
from tests.live_doer import LiveDoer

RBAC = Path(__file__).parents[2] / "config" / "rbac.yaml"
LEASE = ("--lease-namespace", "learnops-system", "--lease-name", "learnops-operator")
StartApi = Callable[[float], Api]


@pytest.fixture
def proxy(stack: Stack, operator_kubeconfig: Path) -> Iterator[FaultProxy]:
    """Between the API server and the api, which has the rights of config/rbac.yaml."""
    kubeconfig = stack.plane.kubeconfig_for_service_account("learnops-system", "learnops-api")
    with FaultProxy(stack.plane, kubeconfig) as running:
        yield running


@pytest.fixture
def accounts(stack: Stack) -> Accounts:
    return Accounts(kube=stack.plane.api)


@pytest.fixture
def tenant(stack: Stack, proxy: FaultProxy, database: str, namespace: str) -> LiveDoer:
    """A doer with a live canary."""
    world = LiveDoer(kube=stack.plane.api, namespace=namespace, database=database)
    world.setup()
    return world


@pytest.fixture
def start_api(
    tenant: LiveDoer, proxy: FaultProxy, accounts: Accounts, tmp_path: Path
) -> Iterator[StartApi]:
    """Starts apis, by how many seconds they remember; no token is in their logs in the end."""
    logs = []
    with ExitStack() as cleanup:

        def start(seconds: float) -> Api:
            logs.append(tmp_path / f"api-{seconds:g}.log")
            api = launch(
                url=tenant.database,
                kubeconfig=proxy.kubeconfig,
                namespace=tenant.namespace,
                log=logs[-1],
                flags=(*LEASE, "--access-seconds", f"{seconds:g}"),
                token=None,
            )
            api.start()
            cleanup.callback(api.process.stop)
            return api

        yield start
    assert [accounts.leaked(log.read_text()) for log in logs] == [0] * len(logs)
    assert accounts.issued


def agent(accounts: Accounts, namespace: str, name: str = "agent") -> str:
    """A token of an account that may do all."""
    token = accounts.token(namespace, name)
    for role in ("learnops-agent", "learnops-reader"):
        accounts.bind(role, within=namespace, namespace=namespace, name=name)
    return token


def report(api: Api, tenant: LiveDoer, run_id: str, *, token: str) -> Answer:
    return api.post("/v1/runs", tenant.bundle(run_id), token=token)


def test_an_outage_closes_no_door_that_is_open_and_opens_none(
    start_api: StartApi, stack: Stack, tenant: LiveDoer, accounts: Accounts
) -> None:
    patient, forgetful = start_api(600), start_api(1)
    known, unknown = (agent(accounts, tenant.namespace, name) for name in ("known", "unknown"))
    # The forgetful one first: rules of RBAC reach the API server's authorizer a moment after they
    # are written, and the patient one remembers a refusal for long.
    for api in (forgetful, patient):
        wait_until(
            lambda api=api: report(api, tenant, "before", token=known).status in (200, 201),
            what="the agent's rights",
            deadline_seconds=60,
        )
    stack.plane.apiserver.kill()
    try:
        assert report(patient, tenant, "during", token=known).status == 201
        forgotten = wait_until(
            lambda: (
                answer
                if (answer := report(forgetful, tenant, "during", token=known)).status != 200
                else None
            ),
            what="the forgetful api to ask again",
            deadline_seconds=60,
        )
        new = report(patient, tenant, "new", token=unknown)
        made_up = report(patient, tenant, "made-up", token="made-up")
        for answer in (forgotten, new, made_up):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), answer.body
            assert answer.body["detail"].startswith("Kubernetes does not tell now")
    finally:
        stack.plane.apiserver.start()
        stack.plane.wait_api_ready()
    for api, token in ((forgetful, known), (patient, unknown)):
        wait_until(
            lambda api=api, token=token: (
                report(api, tenant, "after", token=token).status in (200, 201)
            ),
            what="everybody to be let in again",
            deadline_seconds=60,
        )
    assert report(patient, tenant, "made-up", token="made-up").status == 401
    for api in (patient, forgetful):
        assert "reviews fail" in api.process.log.read_text()
        assert "reviews work again" in api.process.log.read_text()


def test_a_burst_of_one_new_token_is_one_review(
    start_api: StartApi, tenant: LiveDoer, accounts: Accounts, proxy: FaultProxy
) -> None:
    api = start_api(600)
    token = agent(accounts, tenant.namespace)
    proxy.fault(Slow(seconds=1), resource="tokenreviews", times=100)
    with ThreadPoolExecutor(20) as pool:
        path = f"/v1/runs/none?namespace={tenant.namespace}"
        answers = list(pool.map(lambda _: api.get(path, token=token).status, range(20)))
    assert set(answers) <= {403, 404}
    reviews = [asked.resource for asked, _status in proxy.answered()]
    assert reviews.count("tokenreviews") == 1
    assert reviews.count("subjectaccessreviews") == 1


def test_the_api_has_the_rights_that_it_uses_and_no_others(
    start_api: StartApi, tenant: LiveDoer, accounts: Accounts, proxy: FaultProxy
) -> None:
    api = start_api(600)
    token = agent(accounts, tenant.namespace)
    wait_until(
        lambda: report(api, tenant, "one", token=token).status in (200, 201, 403),
        what="an answer",
        deadline_seconds=60,
    )
    answered = proxy.answered()
    assert [asked for asked, status in answered if status == 403] == []
    kinds = ("doers", "policies", "canarydeployments", "leases")
    wait_until(
        lambda: all(proxy.watches(kind) for kind in kinds), what="watches", deadline_seconds=60
    )
    used = {asked.right for asked, _status in proxy.answered()}
    used |= {one.request.right for kind in kinds for one in proxy.watches(kind)}
    assert used == granted()


def granted() -> set[tuple[str, str, str]]:
    """Every right that the file binds to the api, whose name its roles bear."""
    documents = list(yaml.safe_load_all(RBAC.read_text()))
    own = [one for one in documents if one["metadata"]["name"].startswith("learnops-api")]
    return {
        (group, resource, verb)
        for document in own
        for rule in document.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_a_slow_api_server_holds_up_nobody_who_is_known(
    start_api: StartApi, tenant: LiveDoer, accounts: Accounts, proxy: FaultProxy
) -> None:
    api = start_api(30)
    known, new = (agent(accounts, tenant.namespace, name) for name in ("known", "new"))
    wait_until(
        lambda: report(api, tenant, "before", token=known).status in (200, 201),
        what="the agent's rights",
        deadline_seconds=60,
    )
    proxy.fault(Slow(seconds=20), resource="tokenreviews", times=100)
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        slow = pool.submit(report, api, tenant, "slow", token=new)
        assert report(api, tenant, "quick", token=known).status == 201
        assert not slow.done()
        answer = slow.result(timeout=30)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert time.monotonic() - began < 15, "a review ends after five seconds"

"""What every `ports.access.Gatekeeper` must do. A new adapter adds itself to `gatekeepers`.

The development token is none of these: it tells nobody apart.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from learnops.adapters.clock import SystemClock
from learnops.adapters.kube.connection import connect
from learnops.adapters.kube.gatekeeper import KubeGatekeeper
from learnops.adapters.kube.rest import RestClient
from learnops.ports.access import AccessUnavailableError, Caller, Gatekeeper, Need, Verb
from learnops.server.remembering import RememberingGatekeeper
from testbed.faultproxy import FaultProxy
from testbed.faults import Answer, Broken, Fault, Reset, Slow
from testbed.stack import Stack
from tests.accounts import AUDIENCE, Accounts

Make = Callable[[Gatekeeper], Gatekeeper]


def remembering(asks: Gatekeeper) -> Gatekeeper:
    return RememberingGatekeeper(asks, clock=SystemClock(), ttl_seconds=600)


@pytest.fixture(params=[lambda asks: asks, remembering], ids=["kube", "remembering"])
def make(request: pytest.FixtureRequest) -> Make:
    """Each adapter, made on the one that asks."""
    made: Make = request.param
    return made


@pytest.fixture
def proxy(stack: Stack, api_kubeconfig: Path) -> "AsyncIterator[FaultProxy]":
    with FaultProxy(stack.plane, api_kubeconfig) as running:
        yield running


@pytest.fixture
def patience() -> float:
    """How many seconds an answer may take."""
    return 30


@pytest.fixture
async def gatekeeper(proxy: FaultProxy, make: Make, patience: float) -> AsyncIterator[Gatekeeper]:
    async with await connect(kubeconfig=proxy.kubeconfig) as api:
        rest = RestClient(api=api, timeout_seconds=patience)
        yield make(KubeGatekeeper(rest=rest, audience=AUDIENCE))


@pytest.fixture
def accounts(stack: Stack) -> Accounts:
    return Accounts(kube=stack.plane.api)


async def test_a_service_account_is_who_it_is(
    gatekeeper: Gatekeeper, accounts: Accounts, namespace: str
) -> None:
    caller = await gatekeeper.authenticate(accounts.token(namespace))
    assert caller is not None
    assert caller.name == f"system:serviceaccount:{namespace}:agent"
    assert f"system:serviceaccounts:{namespace}" in caller.groups
    assert caller.uid


@pytest.mark.parametrize("audiences", [(), ("vault",)])
async def test_a_token_for_others_is_nobodys(
    gatekeeper: Gatekeeper, accounts: Accounts, namespace: str, audiences: tuple[str, ...]
) -> None:
    token = accounts.token(namespace, audiences=audiences)
    assert await gatekeeper.authenticate(token) is None


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "é\u0000\x7f", '"}', "\udcff", "x" * 16_384, "x" * 16_385]
)
async def test_what_is_no_token_is_nobodys(gatekeeper: Gatekeeper, token: str) -> None:
    assert await gatekeeper.authenticate(token) is None


async def test_rights_are_those_of_rbac(
    gatekeeper: Gatekeeper, accounts: Accounts, namespace: str
) -> None:
    caller = await gatekeeper.authenticate(accounts.token(namespace))
    assert caller is not None
    accounts.role(namespace, "narrow", doers=["planner"], verbs=["ingest"])
    accounts.bind("narrow", within=namespace, namespace=namespace, kind="Role")
    needs = {
        Need(verb=Verb.INGEST, namespace=namespace, doer="planner"): True,
        Need(verb=Verb.INGEST, namespace=namespace, doer="coder"): False,
        Need(verb=Verb.INGEST, namespace=namespace): False,
        Need(verb=Verb.ROUTE, namespace=namespace, doer="planner"): False,
        Need(verb=Verb.INGEST, namespace="default", doer="planner"): False,
    }
    for _ in range(2):
        assert {need: await gatekeeper.allows(caller, need) for need in needs} == needs


async def test_rights_of_a_group_count(gatekeeper: Gatekeeper) -> None:
    need = Need(verb=Verb.READ, namespace="default")
    assert await gatekeeper.allows(Caller(name="root", groups=("system:masters",)), need)
    assert not await gatekeeper.allows(Caller(name="root", groups=("system:others",)), need)


FAULTS: list[Fault] = [
    Answer(status=401),
    Answer(status=403),
    Answer(status=404),
    Answer(status=409),
    Answer(status=422),
    Answer(status=429, headers={"Retry-After": "7"}),
    Answer(status=500),
    Answer(status=200),  # a Status object and no review
    Broken(),
    Reset(),
]
SLOW = Slow(seconds=12)


@pytest.mark.parametrize(
    ("fault", "patience"), [*((fault, 30) for fault in FAULTS), (SLOW, 5)], ids=str
)
async def test_no_failure_is_a_yes_or_a_no(
    gatekeeper: Gatekeeper, accounts: Accounts, namespace: str, proxy: FaultProxy, fault: Fault
) -> None:
    token = accounts.token(namespace)
    need = Need(verb=Verb.INGEST, namespace=namespace)
    proxy.fault(fault, resource="tokenreviews")
    with pytest.raises(AccessUnavailableError) as raised:
        await gatekeeper.authenticate(token)
    assert raised.value.retry_after == (7 if fault == FAULTS[5] else None)
    assert token not in str(raised.value)
    caller = await gatekeeper.authenticate(token)
    assert caller is not None, "asked again, and not remembered"
    proxy.fault(fault, resource="subjectaccessreviews")
    with pytest.raises(AccessUnavailableError):
        await gatekeeper.allows(caller, need)
    assert not await gatekeeper.allows(caller, need)


@dataclass(frozen=True, kw_only=True)
class Review(Answer):
    """An authenticator or authorizer that is set up otherwise than the testbed's tells this."""

    status: int = 201
    told: Mapping[str, object]

    def body(self) -> bytes:
        return json.dumps({"kind": "Review", "apiVersion": "v1", "status": self.told}).encode()


SOMEBODY = {"username": "somebody"}
MEANT_FOR_US = {"authenticated": True, "audiences": [AUDIENCE]}


@pytest.mark.parametrize(
    "told",
    [
        {"authenticated": True, "user": SOMEBODY},  # it knows no audiences
        {"authenticated": True, "user": SOMEBODY, "audiences": []},
        {"authenticated": True, "user": SOMEBODY, "audiences": None},
        {"authenticated": True, "user": SOMEBODY, "audiences": ["https://kubernetes.default.svc"]},
        {"authenticated": "true", "user": SOMEBODY, "audiences": [AUDIENCE]},
        {"authenticated": False, "user": SOMEBODY, "audiences": [AUDIENCE]},
        {"user": SOMEBODY, "audiences": [AUDIENCE]},
        {**MEANT_FOR_US},
        {**MEANT_FOR_US, "user": {"username": "", "groups": ["system:masters"]}},
        {},
    ],
    ids=str,
)
async def test_whoever_is_not_confirmed_for_us_is_nobody(
    gatekeeper: Gatekeeper, proxy: FaultProxy, told: Mapping[str, object]
) -> None:
    proxy.fault(Review(told=told), resource="tokenreviews")
    assert await gatekeeper.authenticate("some.token.of-somebody") is None


async def test_all_that_is_told_of_somebody_decides(
    gatekeeper: Gatekeeper, proxy: FaultProxy
) -> None:
    user = {"username": "u", "uid": "7", "groups": ["g"], "extra": {"b": ["2"], "a": ["1", "0"]}}
    proxy.fault(Review(told={**MEANT_FOR_US, "user": user}), resource="tokenreviews")
    caller = await gatekeeper.authenticate("some.token.of-somebody")
    extra = (("a", ("1", "0")), ("b", ("2",)))
    assert caller == Caller(name="u", uid="7", groups=("g",), extra=extra)
    # The API server refuses a review that it cannot read.
    assert not await gatekeeper.allows(caller, Need(verb=Verb.READ, namespace="default"))


@pytest.mark.parametrize(
    ("told", "allowed"),
    [
        ({"allowed": True}, True),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": "true"}, False),
        ({"allowed": False, "evaluationError": "no such role"}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_only_a_clear_yes_is_one(
    gatekeeper: Gatekeeper, proxy: FaultProxy, told: Mapping[str, object], allowed: bool
) -> None:
    proxy.fault(Review(told=told), resource="subjectaccessreviews")
    need = Need(verb=Verb.READ, namespace="default")
    assert await gatekeeper.allows(Caller(name="u"), need) is allowed

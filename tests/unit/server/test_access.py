"""No route answers before it has asked what its caller may do, a new one least of all."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from learnops.adapters.clock import SystemClock
from learnops.adapters.postgres.connection import make_pool
from learnops.ports.access import AccessUnavailableError, Caller, Need, Verb
from learnops.server.access import Access, Forbidden
from learnops.server.app import create_app
from learnops.server.gate import OPEN_PATHS
from learnops.server.models import Bundle
from learnops.server.permits import Permits
from learnops.server.problems import Problem
from learnops.server.services import assemble
from tests.unit.server.asgi import Told, ask
from tests.unit.server.routes import rows

AGENT = Caller(name="system:serviceaccount:theirs:agent", groups=("a-group-of-theirs",))


class Grants:
    """A gatekeeper that knows one caller, whose rights are `granted`; None: it is away."""

    def __init__(self, *granted: Need, away: bool = False) -> None:
        self.granted = granted
        self.away = away
        self.asked: list[Need] = []

    async def authenticate(self, token: str) -> Caller | None:
        return AGENT if token else None

    async def allows(self, caller: Caller, need: Need) -> bool:
        assert caller == AGENT
        self.asked.append(need)
        if self.away:
            raise AccessUnavailableError("away")
        wide = Need(verb=need.verb, namespace=need.namespace)
        return need in self.granted or wide in self.granted


def application(by: Grants) -> FastAPI:
    """The app on services that are never opened: who gets as far as those is answered 503."""
    pool = make_pool("postgresql://", application="test")
    services = assemble(pool=pool, clock=SystemClock(), ttl_seconds=300)
    services.watches.synced = {"doers": lambda: True}
    services.gate.reason = None
    return create_app(services=services, by=by)


def routes() -> list[str]:
    """Every method and path that asks for a token."""
    found = []
    for context in iter_route_contexts(application(Grants()).routes):
        assert context.path, f"{context}: teach this test to look inside"
        assert context.methods, f"{context.path}: no HTTP route; teach the gate to let it in"
        if context.path not in OPEN_PATHS:
            path = re.sub(r":[a-z]+\}", "}", context.path)  # as the document has it
            found += [f"{method} {path}" for method in sorted(context.methods)]
    return found


def test_every_route_is_found() -> None:
    """The document lists the same, but for routes that are left out of it."""
    paths = application(Grants()).openapi()["paths"]
    listed = {f"{method.upper()} {path}" for path, told in paths.items() for method in told}
    assert {name for name in listed if name.partition(" ")[2] not in OPEN_PATHS} <= set(routes())


async def told(name: str, *, by: Grants) -> Told:
    method = name.partition(" ")[0]
    assert name in rows("ours"), f"{name}: add a row to tests/unit/server/routes.py"
    row = rows("ours")[name]
    return await ask(application(by), method, row.path, body=row.body)


@pytest.mark.parametrize("name", routes())
async def test_every_route_asks_for_its_right_first(name: str) -> None:
    by = Grants()
    answer = await told(name, by=by)
    need = rows("ours")[name].need
    assert by.asked[0] == need
    if name == "GET /v1/runs/{run_id}":
        assert answer.status == 503, "whose run it is stands in the database"
        return
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["missing"] == {
        "verb": need.verb.value,
        "group": "learnops.dev",
        "resource": "doers",
        "namespace": "ours",
        "name": need.doer,
    }


@pytest.mark.parametrize("name", routes())
async def test_a_right_in_another_namespace_is_none(name: str) -> None:
    everything = [Need(verb=verb, namespace="theirs") for verb in Verb]
    assert (await told(name, by=Grants(*everything))).status in (403, 503)


@pytest.mark.parametrize("name", routes())
async def test_with_its_right_a_route_goes_on(name: str) -> None:
    answer = await told(name, by=Grants(rows("ours")[name].need))
    assert answer.status in (404, 503)
    assert "Kubernetes" not in answer.body["detail"]


@pytest.mark.parametrize("name", routes())
async def test_while_nobody_can_tell_it_is_503(name: str) -> None:
    answer = await told(name, by=Grants(away=True))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.body["detail"].startswith("Kubernetes does not tell now")


@pytest.mark.parametrize("name", [*routes(), "GET /v1/nothing", "GET /", "GET /docs"])
async def test_without_a_token_not_even_a_path_is_told(name: str) -> None:
    method, _, path = name.partition(" ")
    answer = await ask(application(Grants()), method, path, token=None)
    assert answer.status == 401


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_open_paths_answer_without_a_token(path: str) -> None:
    assert (await ask(application(Grants()), "GET", path, token=None)).status in (200, 503)


async def test_a_route_that_does_not_ask_is_a_bug_and_answers_nothing() -> None:
    app = application(Grants())

    @app.get("/v1/careless")
    async def careless() -> dict[str, str]:
        return {"secret": "of all tenants"}

    answer = await ask(app, "GET", "/v1/careless")
    assert (answer.status, answer.body["detail"]) == (
        500,
        "a bug of the api; its log has the details",
    )


def test_what_is_missing_is_told_without_the_callers_groups() -> None:
    need = Need(verb=Verb.INGEST, namespace="ours", doer="planner")
    body = Forbidden(AGENT, need).body()
    assert body["detail"] == (
        "'system:serviceaccount:theirs:agent' may not ingest doers.learnops.dev 'planner' in "
        "namespace 'ours'; bind it there to a Role with the rule {apiGroups: [learnops.dev], "
        "resources: [doers], verbs: [ingest]}"
    )
    assert "a-group-of-theirs" not in str(body)


def bundle(namespace: str, doer: str) -> dict[str, Any]:
    return {"namespace": namespace, "doer": doer, "runId": "r", "policy": "p"}


def ingest(namespace: str, doer: str | None = None) -> Need:
    return Need(verb=Verb.INGEST, namespace=namespace, doer=doer)


async def settled(by: Grants, *sent: dict[str, Any]) -> tuple[Permits, list[Problem | None]]:
    permits = Access(caller=AGENT, by=by).permits(Verb.INGEST)
    bundles = [Bundle.model_validate(each) for each in sent]
    await permits.settle(bundles)
    return permits, [permits.problem(each) for each in bundles]


async def test_a_batch_of_two_tenants_is_taken_in_part() -> None:
    by = Grants(ingest("ours"), ingest("theirs", "coder"))
    permits, refused = await settled(
        by,
        bundle("ours", "planner"),
        bundle("ours", "coder"),
        bundle("ours", "judge"),
        bundle("theirs", "planner"),
        bundle("theirs", "coder"),
        bundle("theirs", "planner"),
    )
    forbidden = HTTPStatus.FORBIDDEN
    assert [it and it.status for it in refused] == [None, None, None, forbidden, None, forbidden]
    permits.conclude()
    # From the second doer of a namespace on, a right on all of them is one review.
    assert by.asked == [
        ingest("ours", "planner"),
        ingest("ours"),
        ingest("theirs", "planner"),
        ingest("theirs"),
        ingest("theirs", "coder"),
    ]


async def test_a_batch_of_which_nothing_may_be_taken_is_refused_whole() -> None:
    permits, _refused = await settled(
        Grants(ingest("ours")), bundle("theirs", "planner"), bundle("others", "planner")
    )
    with pytest.raises(Forbidden, match="namespace 'theirs'; bind it"):
        permits.conclude()


@pytest.mark.parametrize("name", ["POST /v1/runs:batch", "POST /v1/shadows:report"])
@pytest.mark.parametrize("items", [[], [{"runId": "r"}, "nonsense"]])
async def test_a_batch_that_names_no_doer_needs_no_right(name: str, items: list[object]) -> None:
    by = Grants()
    answer = await ask(application(by), "POST", name.split()[1], body={"runs": items})
    assert (answer.status, len(answer.body["results"])) == (200, len(items))
    assert by.asked == []


@pytest.mark.parametrize(
    "many", [lambda n: bundle(f"n{n}", "planner"), lambda n: bundle("ours", f"doer{n}")]
)
async def test_a_batch_cannot_cause_any_number_of_reviews(many: Callable[[int], Any]) -> None:
    by = Grants()
    with pytest.raises(Problem, match="over 64 rights must be asked for"):
        await settled(by, *(many(n) for n in range(1000)))
    assert len(by.asked) == 64
    granted = Grants(ingest("ours"))
    _permits, refused = await settled(granted, *(bundle("ours", f"doer{n}") for n in range(1000)))
    assert granted.asked == [ingest("ours", "doer0"), ingest("ours")]
    assert set(refused) == {None}


async def test_an_object_of_another_doer_is_like_none() -> None:
    by = Grants(Need(verb=Verb.READ, namespace="ours", doer="planner"))

    async def require(owner: str | None) -> None:
        async def find() -> str | None:
            return owner

        await Access(caller=AGENT, by=by).require_of(Verb.READ, namespace="ours", owner=find)

    await require("planner")
    refusals = []
    for owner in ("coder", None):
        with pytest.raises(Forbidden) as raised:
            await require(owner)
        refusals.append(raised.value.body())
    assert refusals[0] == refusals[1]

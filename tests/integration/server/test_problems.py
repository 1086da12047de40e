"""Every refusal, word by word: what was wrong, with which field, and the way out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.stack import Stack
from testbed.waiting import wait_until
from tests.databases import migrated_database
from tests.integration.server.conftest import TOKEN, Api, launch
from tests.live_doer import LiveDoer

# The field at fault is what `changes` replaces; the detail is the whole sentence.
BUNDLES: list[tuple[dict[str, Any], str, str]] = [
    ({"runId": ""}, "runId", "runId: is '': String should have at least 1 character"),
    ({"runId": "a\nb"}, "runId", "runId: is 'a\\nb': must have no control characters"),
    ({"runId": "a\u2028b"}, "runId", "runId: is 'a\\u2028b': must have no control characters"),
    (
        {"tenant": "(erased)"},
        "tenant",
        "tenant: is '(erased)': must not be '(erased)', which stands for a tenant that was erased",
    ),
    ({"runId": 7}, "runId", "runId: is 7: Input should be a valid string"),
    (
        {"doer": "../x"},
        "doer",
        "doer: is '../x': String should match pattern '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'",
    ),
    (
        {"doer": "nobody"},
        "doer",
        "doer: no Doer 'nobody' in namespace '{namespace}'; create it, or correct the name",
    ),
    (
        {"arm": "treatment"},
        "arm",
        "arm: is 'treatment': Input should be 'control' or 'candidate'",
    ),
    (
        {"propensity": 1.5},
        "propensity",
        "propensity: is 1.5: Input should be less than or equal to 1",
    ),
    (
        {"propensity": float("nan")},
        "propensity",
        "propensity: is nan: Input should be a finite number",
    ),
    (
        {"revision": 1.5},
        "revision",
        "revision: is 1.5: Input should be a valid integer",
    ),
    (
        {"durationMilliseconds": -1},
        "durationMilliseconds",
        "durationMilliseconds: is -1: Input should be greater than or equal to 0",
    ),
    (
        {"metrics": {"grounding": 1.5}},
        "metrics.grounding",
        "metrics.grounding: is 1.5; send a rate from 0 to 1",
    ),
    (
        {"metrics": {"grounding": "high"}},
        "metrics.grounding",
        "metrics.grounding: must be a number, true, false or null",
    ),
    (
        {"metrics": {"contradictions": -1}},
        "metrics.contradictions",
        "metrics.contradictions: is -1; send 0 or more",
    ),
    (
        {"metrics": {"dbMigrationFail": 1}},
        "metrics.dbMigrationFail",
        "metrics.dbMigrationFail: is 1; send true or false",
    ),
    (
        {"metrics": {"grounding": float("inf")}},
        "metrics",
        "metrics: must have finite numbers alone, no NaN and no infinite one",
    ),
    (
        {"costs": {"costUSD": 10**400}},
        "costs.costUSD",
        "costs.costUSD: is too large; use at most 2^53",
    ),
    (
        {"costs": {"costUSD": 1e300}},
        "costs.costUSD",
        "costs.costUSD: is too large; use at most 2^53",
    ),
    (
        {"rollout": "a\x00b"},
        "rollout",
        "rollout: is 'a\\x00b': must have no control characters",
    ),
    (
        {"budget": {"maxCostUSD": 0}},
        "budget.maxCostUSD",
        "budget.maxCostUSD: is 0: Input should be greater than 0",
    ),
    (
        {"gates": [{"name": "compiles", "passed": "yes"}]},
        "gates[0].passed",
        "gates[0].passed: is 'yes': Input should be a valid boolean",
    ),
    ({"gates": [{"name": "x"}]}, "gates[0].passed", "gates[0].passed: is missing; send it"),
    (
        {"qav": {"note": "a\x00b"}},
        "qav",
        "qav: must have no NUL character",
    ),
    (
        {"artifacts": [{"a": [[[[[[[[[1]]]]]]]]]}]},
        "artifacts",
        "artifacts: must be nested at most 8 levels deep",
    ),
    (
        {"loss": 0.0},
        "loss",
        "loss: is no known field; remove it or correct its name",
    ),
    (
        {"policy": None},
        "policy",
        "policy: is None: Input should be a valid string",
    ),
]


@pytest.fixture(scope="module")
def world(crds: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, LiveDoer]]:
    """One api for all of this file: nothing here changes anything."""
    namespace = crds.namespace()
    database = migrated_database(crds.postgres)
    log: Path = tmp_path_factory.mktemp("problems") / "api.log"
    api = launch(url=database, kubeconfig=crds.plane.kubeconfig, namespace=namespace, log=log)
    api.start()
    made = LiveDoer(kube=crds.plane.api, namespace=namespace, database=database)
    made.setup()
    wait_until(
        lambda: api.get(f"/v1/snapshot?namespace={namespace}&doer=planner").status == 200,
        what="the api to see the doer",
        deadline_seconds=30,
    )
    yield api, made
    api.process.stop()
    crds.plane.delete_namespace(namespace)


@pytest.mark.parametrize(("changes", "field", "detail"), BUNDLES, ids=lambda value: str(value)[:30])
def test_a_bad_bundle_is_refused_alone_and_in_a_batch(
    world: tuple[Api, LiveDoer], changes: dict[str, Any], field: str, detail: str
) -> None:
    api, made = world
    bad = made.bundle("bad") | changes
    expected = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": detail.format(namespace=made.namespace),
        "field": field,
    }
    alone = api.post("/v1/runs", bad)
    assert (alone.status, alone.body) == (422, expected)
    assert alone.headers["Content-Type"] == "application/problem+json"
    (result,) = api.post("/v1/runs:batch", {"runs": [bad]}).body["results"]
    assert (result["status"], result["problem"]) == ("invalid", expected)
    assert api.get(f"/v1/runs/bad?namespace={made.namespace}").status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("GET", "/v1/nothing", None, 404, "Not Found"),
        ("DELETE", "/v1/runs", None, 405, "Method Not Allowed"),
        ("GET", "/v1/snapshot?doer=planner", None, 422, "query.namespace: is missing; send it"),
        (
            "GET",
            "/v1/snapshot?namespace=n&doer=d&waitSeconds=900",
            None,
            422,
            "query.waitSeconds: is '900': Input should be less than or equal to 60",
        ),
        ("POST", "/v1/runs:batch", b"{}", 422, 'runs: is missing; send {"runs": [bundle, ...]}'),
        (
            "POST",
            "/v1/runs:batch",
            json.dumps({"runs": [{}] * 10_001}).encode(),
            422,
            "runs: has over 10000 items; send at most 10000 at once",
        ),
        (
            "POST",
            "/v1/assignments",
            b'{"namespace": "n", "doer": "d", "runs": []}',
            422,
            "runs: List should have at least 1 item after validation, not 0",
        ),
        (
            "POST",
            "/v1/assignments",
            b'{"namespace": "n", "doer": "d", "runs": [{"runId": "a"}]}',
            404,
            "no Doer 'd' in namespace 'n'",
        ),
        ("GET", "/v1/canaries/none?namespace=n", None, 404, "no CanaryDeployment 'none' in"),
        ("GET", "/v1/policies/none?namespace=n", None, 404, "no Policy 'none' in namespace 'n'"),
    ],
)
def test_requests_that_cannot_be_served(
    world: tuple[Api, LiveDoer],
    method: str,
    path: str,
    body: bytes | None,
    status: int,
    detail: str,
) -> None:
    answer = world[0].call(method, path, raw=body)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert answer.body["detail"].startswith(detail)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:batch"])
def test_what_is_not_json(world: tuple[Api, LiveDoer], path: str) -> None:
    answer = world[0].call("POST", path, raw=b'{"runs": [')
    assert answer.status == 400
    assert answer.body["detail"].startswith("the body is not JSON: ")


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/runs", 1024 * 1024), ("/v1/runs:batch", 16 * 1024 * 1024)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit(
    world: tuple[Api, LiveDoer], path: str, limit: int, chunked: bool
) -> None:
    api, _made = world
    body = b" " * (limit + 1)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    parts = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
    got = api.pool.request(
        "POST",
        f"{api.url}{path}",
        body=parts if chunked else body,
        headers=headers,
        chunked=chunked,
    )
    told = json.loads(got.data)
    assert (got.status, told["detail"]) == (
        413,
        f"the body is over {limit} bytes; send less at once",
    )


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        (None, "send Authorization: Bearer TOKEN"),
        ("wrong", "this token is not known, has expired, or was issued for another audience"),
    ],
)
def test_without_the_token_nothing_is_read(
    world: tuple[Api, LiveDoer], token: str | None, detail: str
) -> None:
    answer = world[0].call("POST", "/v1/runs", raw=b"{not json", token=token)
    assert (answer.status, answer.body["detail"]) == (401, detail)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_probes_and_metrics_need_no_token(world: tuple[Api, LiveDoer]) -> None:
    api, _made = world
    assert api.get("/livez", token=None).body == {"status": "ok"}
    ready = api.get("/readyz", token=None).body
    assert set(ready["components"].values()) == {"ok"}
    assert "learnops_build_info" in str(api.get("/metrics", token=None).body)


def test_the_document_has_examples_and_names_the_token(world: tuple[Api, LiveDoer]) -> None:
    document = world[0].get("/openapi.json", token=None).body
    assert document["components"]["schemas"]["Bundle"]["examples"][0]["runId"] == "r-81f3"
    assert document["security"] == [{"bearer": []}]
    batch = document["paths"]["/v1/runs:batch"]["post"]["requestBody"]["content"]
    items = batch["application/json"]["schema"]["properties"]["runs"]["items"]
    assert items == {"$ref": "#/components/schemas/Bundle"}

"""Personal data and secrets, wherever they are put, are in no answer of refusal and in no log."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.server.conftest import Served

EMAIL = "grace.hopper@navy.example.org"
SSN = "536-90-4399"
CARD = "4111 1111 1111 1111"
PHONE = "+1 (212) 555-0187"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLW9mLWNhbmFyeQ"
KEY = "sk-canary-7Hq2Lx9Zt4Wm8Vb1"
OPAQUE = "canary9f83b2c1d04e57a6f81e"
CANARIES = {
    "email": EMAIL,
    "ssn": SSN,
    "card": CARD,
    "phone": PHONE,
    "jwt": JWT,
    "bearer": f"Bearer {KEY}",
    "key": KEY,
    # Where it is cut for the message, its head must not be left.
    "cut email": "x" * 48 + " " + EMAIL,
    "cut card": "y" * 50 + " " + CARD,
    "with a control character": f"\x00{EMAIL}",
    "with a surrogate": f"\ud800{EMAIL}",
    "opaque": OPAQUE + "\x00",
}
# What no refusal and no log may hold, as it stands or as JSON and repr would write it.
FORBIDDEN = re.compile(
    r"hopper|navy\.example|grace\.|536-90|4111 ?1|555-0187|eyJ|c2lnbmF0|7Hq2Lx9|canary9f83"
)
BODIES = {
    "POST /v1/assignments": {"runs": [{"runId": "r", "unitId": "u", "policy": "p"}]},
    "POST /v1/assignments:void": {"runIds": ["r"]},
    "POST /v1/shadows": {"rollout": "u.0", "runIds": ["r"]},
    "POST /v1/runs": {
        "runId": "r",
        "policy": "planner-v1",
        "arm": "control",
        "propensity": 0,
        "revision": 1,
        "rollout": "u.0",
        "tenant": "t",
        "durationMilliseconds": 1,
        "metrics": {"grounding": 0.5},
        "gates": [{"name": "g", "passed": True}],
        "qav": {"note": "n"},
        "costs": {"costUSD": 0.1},
        "budget": {"maxCostUSD": 1},
        "artifacts": [{"a": "b"}],
        "signals": {"tests": 1},
    },
    "POST /v1/runs/r/signals": {
        "signals": [
            {
                "name": "tests",
                "value": 1,
                "key": "k",
                "source": "s",
                "note": "n",
                "observedAt": "2026-11-20T10:00:00Z",
            }
        ]
    },
}
QUERIES = [
    "/v1/route?namespace={}&doer=d&runId=r",
    "/v1/route?namespace=n&doer={}&runId=r",
    "/v1/route?namespace=n&doer=d&runId={}&unitId={}",
    "/v1/snapshot?namespace=n&doer={}&waitSeconds={}",
    "/v1/runs/{}?namespace=n",
    "/v1/policies/{}?namespace=n",
    "/v1/canaries/{}?namespace={}",
    "/v1/{}",
    "/{}",
]


def replaced(value: Any, canary: str) -> Iterator[Any]:
    """The body with the canary in the place of each value, and as a name in each map."""
    yield canary
    if isinstance(value, dict):
        if OPAQUE not in canary:  # long names of metrics look the same
            yield value | {canary: canary}
        for name, inner in value.items():
            yield from (value | {name: it} for it in replaced(inner, canary))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            for it in replaced(inner, canary):
                yield [*value[:position], it, *value[position + 1 :]]


def is_discreet(answer: Any) -> None:
    """A refusal tells none of it; what is taken is told back by its ids alone, so not looked at."""
    if answer.status >= 400:
        found = FORBIDDEN.search(json.dumps(answer.body, ensure_ascii=False))
        assert found is None, answer.body


@pytest.fixture(scope="module", autouse=True)
def _log_is_discreet(served: Served) -> Iterator[None]:
    yield
    served.api.process.stop()
    told = served.log.read_text()
    assert FORBIDDEN.search(told) is None, told[:2000]
    assert FORBIDDEN.search(told + EMAIL) is not None, "the search finds what is there"


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize("which", CANARIES)
def test_no_refusal_tells_what_was_sent(served: Served, route: str, which: str) -> None:
    method, _, path = route.partition(" ")
    good = {"namespace": served.world.namespace, "doer": "planner"} | dict(BODIES[route])
    refused = 0
    for body in replaced(good, CANARIES[which]):
        answer = served.api.call(method, path, body=body)
        assert answer.status < 500, answer.body
        is_discreet(answer)
        refused += answer.status >= 400
        if route == "POST /v1/runs":
            told = served.api.post("/v1/runs:batch", {"runs": [body]}).body["results"][0]
            problem = json.dumps(told.get("problem"), ensure_ascii=False)
            assert FORBIDDEN.search(problem) is None, problem
    assert refused >= 3


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("which", [which for which in CANARIES if which != "opaque"])  # an id
def test_no_refused_query_or_path_is_told_back(served: Served, query: str, which: str) -> None:
    text = quote(CANARIES[which], safe="", errors="replace")
    answer = served.api.get(query.replace("{}", text))
    assert 400 <= answer.status < 500
    is_discreet(answer)


@pytest.mark.parametrize("which", CANARIES)
def test_no_header_is_told_back(served: Served, which: str) -> None:
    text = CANARIES[which].replace("\x00", "").replace("\ud800", "")
    for headers in (
        {"Authorization": f"Bearer {text}"},
        {"Authorization": text},
        {"Content-Type": text},
        {"Content-Encoding": text},
    ):
        answer = served.api.call("POST", "/v1/runs", raw=b"{}", headers=headers)
        assert answer.status in (401, 415)
        is_discreet(answer)


def test_a_body_that_is_not_json_is_not_told_back(served: Served) -> None:
    for canary in CANARIES.values():
        raw = f'{{"runId": {canary}'.encode(errors="replace")
        for path in ("/v1/runs", "/v1/runs:batch", "/v1/runs/r/signals"):
            answer = served.api.call("POST", path, raw=raw)
            assert answer.status == 400
            is_discreet(answer)

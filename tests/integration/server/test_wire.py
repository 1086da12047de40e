"""What a socket can send that no client would: each is refused as a problem, nothing breaks."""

import gzip
import json
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.integration.server.conftest import TOKEN, Served

PROBLEM = "application/problem+json"
POSTS = [
    "/v1/assignments",
    "/v1/assignments:void",
    "/v1/runs",
    "/v1/runs:batch",
    "/v1/runs/r/signals",
    "/v1/shadows",
    "/v1/shadows:report",
]
BATCHES = ("/v1/runs:batch", "/v1/shadows:report")
GETS = [
    "/v1/route",
    "/v1/snapshot",
    "/v1/runs/r",
    "/v1/policies/p",
    "/v1/canaries/c",
    "/livez",
    "/readyz",
    "/metrics",
]
NOT_JSON = {
    "not UTF-8": b'{"runs": ["\xff\xfe"]}',
    "UTF-7": b"+AHsAfQ-",
    "cut short": b'{"namespace": "n',
    "nested without end": b"[" * 200_000,
    "a number of ten thousand digits": b'{"revision": ' + b"9" * 10_000 + b"}",
    "two documents": b"{} {}",
    "a comment": b"{} // no",
}


def raw(served: Served, data: bytes, *, ends: bool = False) -> tuple[int, bytes]:
    """What is answered to these bytes: the status and all that was read.

    `ends`: the caller says that no more comes, upon which the server leaves without an answer.
    """
    where = urlsplit(served.api.url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        told = b""
        with suppress(OSError):  # it closes on who sends more than it takes
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                told += part
    return (int(told.split(b" ", 2)[1]) if told else 0), told


def head(path: str, *, method: str = "POST", **headers: str) -> bytes:
    """A request's head, with the token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: api", f"Authorization: Bearer {TOKEN}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def refused(answer: Any, *statuses: int) -> Any:
    """The problem; its status is one of these."""
    assert answer.status in statuses, answer.body
    assert answer.headers["Content-Type"] == PROBLEM
    assert answer.body["status"] == answer.status
    return answer.body


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("what", NOT_JSON)
def test_a_body_that_is_not_json(served: Served, path: str, what: str) -> None:
    answer = served.api.call("POST", path, raw=NOT_JSON[what])
    if path in BATCHES and what == "not UTF-8":  # that item alone: its neighbours are stored
        assert [it["problem"]["status"] for it in answer.body["results"]] == [422]
        assert answer.body["results"][0]["problem"]["detail"].startswith("the item is not JSON")
    elif path in BATCHES and what == "a number of ten thousand digits":  # it is passed over
        assert refused(answer, 422)["detail"].startswith("runs: is missing")
    else:
        told = refused(answer, 400)
        assert told["detail"].startswith(("the body is not JSON", "There was an error parsing"))


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"null", b"7", b'"text"', b"[[]]", b"true", b"{}", b"NaN"])
def test_json_that_is_no_request(served: Served, path: str, body: bytes) -> None:
    answer = served.api.call("POST", path, raw=body)
    if answer.status == 200:  # an array is a batch, whose one item is none
        assert body == b"[[]]"
        assert [it["status"] for it in answer.body["results"]] == ["invalid"]
    else:
        assert refused(answer, 422)["field"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "a;b", ""],
)
def test_a_body_of_another_kind(served: Served, path: str, kind: str) -> None:
    told = refused(served.api.call("POST", path, raw=b"{}", headers={"Content-Type": kind}), 415)
    assert "it must be application/json" in told["detail"]


@pytest.mark.parametrize("path", POSTS)
def test_a_compressed_body(served: Served, path: str) -> None:
    headers = {"Content-Encoding": "gzip"}
    told = served.api.call("POST", path, raw=gzip.compress(b"{}"), headers=headers)
    assert refused(told, 415)["detail"].startswith("Content-Encoding: must be absent")


@pytest.mark.parametrize("path", POSTS + GETS)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_a_method_that_no_route_has(served: Served, path: str, method: str) -> None:
    answer = served.api.call(method, path)
    assert (answer.status, answer.headers["Content-Type"]) == (405, PROBLEM)
    own = "POST" if path in POSTS else "GET"
    assert own in answer.headers["Allow"].split(", ")


@pytest.mark.parametrize(
    "path", ["/v1/runs/", "/v1/route/", "//v1/runs", "/v1/%2e%2e/v1/runs", "/V1/runs"]
)
def test_a_path_that_is_nearly_one(served: Served, path: str) -> None:
    for method, body in (("POST", b"{}"), ("GET", None)):
        # No redirect: it would be to the host that the caller, or who stands between, names.
        answer = served.api.call(method, path, raw=body, headers={"Host": "elsewhere.example"})
        refused(answer, 404, 405, 422)
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "query",
    [
        "namespace=%00&doer=planner",
        "namespace=%ff%fe&doer=planner",
        "namespace=%ED%A0%80&doer=planner",
        "namespace=n&namespace=m&doer=%F0%9F%92%A9",
        "namespace=" + "a" * 8_000 + "&doer=planner",
        "namespace=n&doer=planner&waitSeconds=-1",
        "namespace=n&doer=planner&waitSeconds=NaN",
        "namespace=n&doer=planner&waitSeconds=1e400",
        "namespace=n&doer=planner&waitSeconds=" + "9" * 5_000,
        "&&&==%%%",
    ],
)
def test_a_query_that_nobody_means(served: Served, query: str) -> None:
    assert refused(served.api.get(f"/v1/snapshot?{query}"), 422)["field"]


@pytest.mark.parametrize(
    "run_id", ["%00", "a%00b", "%ff", "%ED%A0%80", "a" * 20_000, "%2F%2F", "..%2F"]
)
def test_a_run_that_cannot_be(served: Served, run_id: str) -> None:
    here = f"namespace={served.world.namespace}"
    refused(served.api.get(f"/v1/runs/{run_id}?{here}"), 404, 422)
    body = {
        "namespace": served.world.namespace,
        "doer": "planner",
        "signals": [{"name": "tests", "value": 1, "key": "k"}],
    }
    refused(served.api.post(f"/v1/runs/{run_id}/signals", body), 404, 422)


TEXTS = [
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u2029",
    "\x85",
    "\x7f",
    "\u2028",
    "\n",
    " " * 10_000,
]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
@pytest.mark.parametrize("field", ["runId", "policy", "doer", "namespace", "tenant", "rollout"])
def test_text_that_names_nothing(served: Served, field: str, text: str) -> None:
    bad = served.world.bundle("r") | {field: text}
    assert refused(served.api.post("/v1/runs", bad), 422)["field"] == field
    good = served.world.bundle(f"beside-{field}-{TEXTS.index(text)}")
    answer = served.api.post("/v1/runs:batch", {"runs": [bad, good]})
    told = [it["status"] for it in answer.body["results"]]
    assert told == ["invalid", "accepted"]


@pytest.mark.parametrize(
    "number", [1e308, -1e308, 10**300, -(10**300), 2**63, -1, 1e-320, True, "1"]
)
@pytest.mark.parametrize("field", ["propensity", "revision", "durationMilliseconds"])
def test_a_number_is_taken_exactly_or_refused(served: Served, field: str, number: object) -> None:
    run_id = f"{field}-{number!s:.20}"
    answer = served.api.post("/v1/runs", served.world.bundle(run_id) | {field: number})
    if answer.status == 201:
        assert isinstance(number, float)
        assert 0 <= number <= 1
    else:
        assert refused(answer, 422)["field"] == field


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:batch"])
def test_of_a_key_that_is_given_twice_the_last_counts(served: Served, path: str) -> None:
    names = [f"twice-{POSTS.index(path)}-{number}" for number in (1, 2)]
    first, last = (json.dumps(served.world.bundle(name))[1:-1] for name in names)
    body = f"{{{first}, {last}}}"
    raw = (f"[{body}]" if path.endswith("batch") else body).encode()
    assert served.api.call("POST", path, raw=raw).status in (200, 201)
    here = f"namespace={served.world.namespace}"
    told = [served.api.get(f"/v1/runs/{name}?{here}").status for name in names]
    assert told == [404, 200]


def test_lines_are_judged_one_by_one(served: Served) -> None:
    good = json.dumps(served.world.bundle("line-1")).encode()
    bad = [b"{", b"\xff", b"null", b"[" * 5_000, b'{"runId": "\\ud800"}', b"7" * 5_000]
    answer = served.api.call(
        "POST",
        "/v1/runs:batch",
        raw=b"\n".join([*bad, good, b""]),
        headers={"Content-Type": "application/x-ndjson; charset=utf-8"},
    )
    assert [it["status"] for it in answer.body["results"]] == ["invalid"] * len(bad) + ["accepted"]


JSON_BODY = {"Content_Type": "application/json"}
LONG = -1  # it is closed on at once, whether or not the answer still gets through
LIES = [
    (b"\x00\x01\x02\r\n\r\n", 400),
    (b"BREW /v1/runs HTTP/1.1\r\nHost: api\r\n\r\n", 400),
    (b"GET /livez HTTP/9.9\r\n\r\n", 400),
    (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: api\r\n\r\n", LONG),
    (b"GET /livez HTTP/1.1\r\nHost: api\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", LONG),
    (head("/v1/runs", **JSON_BODY, Content_Length="-1"), 400),
    (head("/v1/runs", **JSON_BODY, Content_Length="ten"), 400),
    (head("/v1/runs", **JSON_BODY, Content_Length="9" * 30), 400),
    (head("/v1/runs", **JSON_BODY, Content_Length="99") + b"{}", 0),
    (head("/v1/runs", **JSON_BODY, Transfer_Encoding="chunked") + b"zz\r\n", 400),
    (head("/v1/runs", **JSON_BODY, Content_Length="2") + b"{}{}{}{}", 422),
    (head("/v1/runs", **JSON_BODY, Content_Length="2", Host="[") + b"{}", 422),
    (head("/v1/runs", **JSON_BODY, Content_Length="2", Content_length="2") + b"{}", 400),
]


@pytest.mark.parametrize(("data", "status"), LIES, ids=range(len(LIES)))
def test_lies_on_the_wire(served: Served, data: bytes, status: int) -> None:
    # 0: closed without an answer, as a body that was cut short is.
    answered, told = raw(served, data, ends=status == 0)
    assert answered in ((0, 400) if status == LONG else (status,)), told[:300]
    assert served.api.get("/livez", token=None).status == 200


def test_requests_sent_together_by_a_caller_who_hangs_up(served: Served) -> None:
    """That the log tells of no bug is looked at in the end of `served`."""
    one = head("/v1/runs/none", method="GET").replace(b"Connection: close\r\n", b"")
    raw(served, one * 20, ends=True)
    counter = {"route": "/v1/runs/{run_id}", "code": "500"}
    assert served.api.series("learnops_http_requests_total", **counter) == 0.0

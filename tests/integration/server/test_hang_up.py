"""A caller that is gone before its body has come is no bug and no answer: it is counted apart."""

import socket

import pytest
from urllib3.util import parse_url

from testbed.waiting import wait_until
from tests.integration.server.conftest import TOKEN, Served

ROUTES = {
    "/v1/assignments": "/v1/assignments",
    "/v1/assignments:void": "/v1/assignments:void",
    "/v1/runs": "/v1/runs",
    "/v1/runs/r/signals": "/v1/runs/{run_id}/signals",
    "/v1/shadows": "/v1/shadows",
    "/v1/runs:batch": "/v1/runs:batch",
    "/v1/shadows:report": "/v1/shadows:report",
}
COUNTER = "learnops_http_requests_total"


def hang_up(served: Served, path: str) -> None:
    """Say that 100 bytes come, send 8 and go."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    url = parse_url(served.api.url)
    with socket.create_connection((url.host or "", url.port or 0)) as caller:
        caller.sendall(head.encode() + b'{"runs":')


@pytest.mark.parametrize("path", list(ROUTES))
def test_a_caller_that_hangs_up_is_counted_as_one(served: Served, path: str) -> None:
    """That the log has no traceback is looked at in the end of `served`."""
    route = ROUTES[path]
    hang_up(served, path)
    wait_until(
        lambda: served.api.series(COUNTER, route=route, code="aborted") == 1.0,
        what="the hang-up to be counted",
        deadline_seconds=30,
    )
    assert served.api.series(COUNTER, route=route, code="500") == 0.0
    assert served.api.series(COUNTER, route=route, code="400") is None

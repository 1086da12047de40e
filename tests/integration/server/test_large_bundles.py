"""Large bundles of one namespace, made to cost, hold up neither small nor large ones of another."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from testbed.waiting import wait_until
from tests.integration.server.conftest import Answer, Served
from tests.integration.server.test_access import Tenants, tenants

__all__ = ["tenants"]  # a fixture
FLOODING = 14
# All of them are valid, so that each is asked about: the slowest text that there is.
DENSE = "536-90-4399, " * 5000


class Flood:
    """What the namespace that sends too much was answered."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.over = threading.Event()

    @property
    def stored(self) -> int:
        return sum(answer.status == 201 for answer in self.answers)

    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in list(self.answers))


def small(run_id: str, *, namespace: str) -> dict[str, Any]:
    """Nothing in it takes time."""
    return {
        "namespace": namespace,
        "doer": "planner",
        "runId": run_id,
        "policy": "planner-v1",
        "metrics": {"grounding": 0.8, "contradictions": 0},
    }


def large(run_id: str, *, namespace: str) -> dict[str, Any]:
    """64 KiB of numbers: many of them must be done before the deadline of the last one."""
    return small(run_id, namespace=namespace) | {"artifacts": [{"log": DENSE}]}


@contextmanager
def flood(tenants: Tenants) -> Iterator[Flood]:
    """As many callers as that send one large bundle after the other."""
    flood, numbers = Flood(), itertools.count()
    token = tenants.accounts.token(tenants.theirs)

    def send() -> None:
        while not flood.over.is_set():
            bundle = large(f"theirs-{next(numbers)}", namespace=tenants.theirs)
            answer = tenants.api.post("/v1/runs", bundle, token=token)
            flood.answers.append(answer)
            if answer.status == 429:
                flood.over.wait(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(FLOODING) as pool:
        sending = [pool.submit(send) for _ in range(FLOODING)]
        try:
            wait_until(
                lambda: flood.stored >= 1 and flood.statuses()[429] >= 1,
                deadline_seconds=60,
                what="more large bundles of one namespace than may wait",
                explain=lambda: str(flood.statuses()),
            )
            yield flood
        finally:
            flood.over.set()
        for each in sending:
            each.result()


def test_one_namespaces_large_bundles_hold_up_no_other(tenants: Tenants) -> None:
    token = tenants.accounts.token(tenants.namespace)
    assert tenants.report("known", token=token).status == 201  # its rights are, from now on
    with flood(tenants) as theirs:

        def passing(bundle: dict[str, Any]) -> int:
            """How many of theirs were answered before this one of ours."""
            before = theirs.stored
            assert tenants.api.post("/v1/runs", bundle, token=token).status == 201
            return theirs.stored - before

        ours = tenants.namespace
        beside_large = [passing(large(f"large-{each}", namespace=ours)) for each in range(5)]
        beside_small = [passing(small(f"small-{each}", namespace=ours)) for each in range(11)]
    # Behind all of theirs it would be seven, which come in one transaction and so may pass at once.
    assert sorted(beside_large)[2] <= 4, beside_large
    assert sorted(beside_small)[5] <= 1, beside_small
    assert set(theirs.statuses()) <= {201, 429, 503}
    refused = next(answer for answer in theirs.answers if answer.status == 429)
    assert refused.headers["Retry-After"] == "1"
    assert (
        "requests of yours with bundles of over 16384 bytes are under way" in refused.body["detail"]
    )
    with psycopg.connect(tenants.ours.database) as connection:
        (left,) = connection.execute(
            "SELECT count(*) FROM runs WHERE bundle::text LIKE '%536-90%'"
        ).fetchone() or (None,)
    assert left == 0


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs:batch"])
def test_a_large_bundle_is_judged_as_a_small_one_is(served: Served, path: str) -> None:
    """The same fields are named, and a repetition and other content are told apart."""
    namespace = served.world.namespace

    def told(padding: int, **changes: Any) -> Any:
        bundle = large("judged", namespace=namespace) | {"artifacts": [{"x": "é" * padding}]}
        sent = bundle | {"runId": f"judged-{padding}"} | changes
        body = sent if path == "/v1/runs" else [sent]
        answer = served.api.call("POST", path, raw=json.dumps(body, ensure_ascii=False).encode())
        (told,) = [answer.body] if path == "/v1/runs" else answer.body["results"]
        told = {name: value for name, value in told.items() if name != "runId"}
        return json.loads(json.dumps(told).replace(f"judged-{padding}", "ID"))

    for changes in (
        {},
        {},
        {"metrics": {"grounding": 0.5, "contradictions": 0}},
        {"metrics": {"grounding": "high"}},
        {"qav": {"a\x00b": 1}},
        {"artifacts": [{"x": ["y" * 65_537]}]},
        {"unknown": 1, "revision": -1},
        {"doer": None},
        {"runId": 7},
    ):
        assert told(50_000, **changes) == told(5, **changes), changes


def test_what_is_no_bundle_is_told_alike_however_long_it_is(served: Served) -> None:
    for body in (b"", b"null", b"7", b"[]", b'"x"', b"{", b"\xff", b"[1,"):
        short, long = (
            served.api.call("POST", "/v1/runs", raw=body + b" " * padding)
            for padding in (0, 20_000 if body else 0)
        )
        assert (short.status, short.body) == (long.status, long.body), body
        assert short.status in (400, 422)

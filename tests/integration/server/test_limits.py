"""Each documented limit on the real api: kept at the limit, refused one beyond with its field."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.server.conftest import TOKEN, Served

KIB = 1024
MIB = KIB * KIB
BODIES = {
    "/v1/assignments": MIB,
    "/v1/assignments:void": MIB,
    "/v1/runs": MIB,
    "/v1/runs/r/signals": MIB,
    "/v1/shadows": MIB,
    "/v1/runs:batch": 16 * MIB,
    "/v1/shadows:report": 16 * MIB,
}
Made = Callable[[int], Any]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """`made(n)` is what is added to a good body, at its size n; `most` is still taken."""

    path: str
    most: int
    field: str
    made: Made


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _signals(count: int) -> Any:
    return {"signals": [{"name": "t", "value": 1, "key": f"{count}-{i}"} for i in range(count)]}


def _signal(**changes: Any) -> Any:
    # Of another value at each length: a repeated key with other content would be 409.
    return {"signals": [{"name": "t", "value": 1, "key": json.dumps(changes)[:60]} | changes]}


RUN, SIGNALS = "/v1/runs", "/v1/runs/r/signals"
DRAW, VOID, PAIRS = "/v1/assignments", "/v1/assignments:void", "/v1/shadows"
BOUNDS = {
    "draws": Bound(
        path=DRAW,
        most=1000,
        field="runs",
        made=lambda n: {"runs": [{"runId": f"d-{i}"} for i in range(n)]},
    ),
    "a draw's run id": Bound(
        path=DRAW, most=200, field="runs[0].runId", made=lambda n: {"runs": [{"runId": "a" * n}]}
    ),
    "a draw's unit": Bound(
        path=DRAW,
        most=256,
        field="runs[0].unitId",
        made=lambda n: {"runs": [{"runId": "u", "unitId": "a" * n}]},
    ),
    "voids": Bound(
        path=VOID,
        most=1000,
        field="runIds",
        made=lambda n: {"runIds": [f"v-{i}" for i in range(n)]},
    ),
    "a void's run id": Bound(
        path=VOID, most=200, field="runIds[0]", made=lambda n: {"runIds": ["a" * n]}
    ),
    "pairs": Bound(
        path=PAIRS,
        most=1000,
        field="runIds",
        made=lambda n: {"runIds": [f"p-{i}" for i in range(n)]},
    ),
    "a pair's rollout": Bound(
        path=PAIRS, most=64, field="rollout", made=lambda n: {"rollout": "a" * n}
    ),
    "a run's id": Bound(path=RUN, most=200, field="runId", made=lambda n: {"runId": "b" * n}),
    "a run's tenant": Bound(path=RUN, most=253, field="tenant", made=lambda n: {"tenant": "a" * n}),
    "a run's rollout": Bound(
        path=RUN, most=64, field="rollout", made=lambda n: {"rollout": "a" * n}
    ),
    "a run's policy": Bound(path=RUN, most=63, field="policy", made=lambda n: {"policy": "a" * n}),
    "metrics": Bound(
        path=RUN,
        most=128,
        field="metrics",
        made=lambda n: {"metrics": {f"m{i}": 1 for i in range(n)}},
    ),
    "costs": Bound(
        path=RUN, most=128, field="costs", made=lambda n: {"costs": {f"c{i}": 1 for i in range(n)}}
    ),
    "qav": Bound(
        path=RUN, most=128, field="qav", made=lambda n: {"qav": {f"q{i}": 1 for i in range(n)}}
    ),
    "a label": Bound(
        path=RUN, most=128, field="qav.{key}.[key]", made=lambda n: {"qav": {"k" * n: 1}}
    ),
    "gates": Bound(
        path=RUN,
        most=256,
        field="gates",
        made=lambda n: {"gates": [{"name": f"g{i}", "passed": True} for i in range(n)]},
    ),
    "artifacts": Bound(
        path=RUN, most=256, field="artifacts", made=lambda n: {"artifacts": [{}] * n}
    ),
    "a string": Bound(path=RUN, most=65_536, field="qav", made=lambda n: {"qav": {"s": "a" * n}}),
    "a string in an artifact": Bound(
        path=RUN, most=65_536, field="artifacts", made=lambda n: {"artifacts": [{"s": "a" * n}]}
    ),
    "depth": Bound(path=RUN, most=7, field="qav", made=lambda n: {"qav": {"d": _nested(n)}}),
    "a bundle's signals": Bound(
        path=RUN,
        most=32,
        field="signals",
        made=lambda n: {"signals": {f"s{i}": 1 for i in range(n)}},
    ),
    "signals": Bound(path=SIGNALS, most=100, field="signals", made=_signals),
    "a signal's key": Bound(
        path=SIGNALS, most=200, field="signals[0].key", made=lambda n: _signal(key="k" * n)
    ),
    "a signal's source": Bound(
        path=SIGNALS, most=128, field="signals[0].source", made=lambda n: _signal(source="s" * n)
    ),
    "a signal's note": Bound(
        path=SIGNALS, most=2000, field="signals[0].note", made=lambda n: _signal(note="n" * n)
    ),
    "a signal's name": Bound(
        path=SIGNALS, most=32, field="signals[0].name", made=lambda n: _signal(name="n" * n)
    ),
}


def good(served: Served, path: str, *, run_id: str = "r") -> dict[str, Any]:
    """A body that is taken."""
    here = {"namespace": served.world.namespace, "doer": "planner"}
    bundle = served.world.bundle(run_id)
    return {
        DRAW: here | {"runs": [{"runId": run_id}]},
        VOID: here | {"runIds": [run_id]},
        RUN: bundle,
        SIGNALS: here | {"signals": [{"name": "tests", "value": 1, "key": run_id}]},
        PAIRS: here | {"rollout": "u.0", "runIds": [run_id]},
        "/v1/runs:batch": {"runs": [bundle]},
        "/v1/shadows:report": {"runs": [bundle]},
    }[path]


@pytest.mark.parametrize("what", BOUNDS)
def test_at_the_limit_and_one_beyond(served: Served, what: str) -> None:
    bound = BOUNDS[what]
    number = list(BOUNDS).index(what)
    if bound.path == SIGNALS:  # a run of its own: a run has at most 100
        path = f"/v1/runs/s-{number}/signals"
        reported = served.api.post(RUN, served.world.bundle(f"s-{number}"))
        assert reported.status == 201
    else:
        path = bound.path
    body = good(served, bound.path, run_id=f"at-{number}")
    taken = served.api.post(path, body | bound.made(bound.most))
    assert taken.status in (200, 201), taken.body
    body = good(served, bound.path, run_id=f"beyond-{number}")
    refused = served.api.post(path, body | bound.made(bound.most + 1))
    assert refused.status == 422, refused.body
    told = refused.body["field"]
    assert told == bound.field.format(key="k" * 60), refused.body
    assert refused.body["detail"].startswith(f"{told}: ")


@pytest.mark.parametrize("path", BODIES)
def test_a_body_of_the_most_bytes_is_read(served: Served, path: str) -> None:
    body = json.dumps(good(served, path, run_id=f"full-{list(BODIES).index(path)}")).encode()
    served.api.post(RUN, served.world.bundle("r"))
    answer = served.api.call("POST", path, raw=body + b" " * (BODIES[path] - len(body)))
    assert answer.status in (200, 201), answer.body


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_one_byte_more_is_not(served: Served, path: str, chunked: bool) -> None:
    limit = BODIES[path]
    body = b"{}" + b" " * (limit - 1)

    def parts() -> Iterator[bytes]:
        yield from (body[at : at + 65_536] for at in range(0, len(body), 65_536))

    got = served.api.pool.request(
        "POST",
        f"{served.api.url}{path}",
        body=parts() if chunked else body,
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        chunked=chunked,
    )
    told = json.loads(got.data)
    assert (got.status, got.headers["Content-Type"]) == (413, "application/problem+json")
    assert told["detail"] == f"the body is over {limit} bytes; send less at once"


@pytest.mark.parametrize("path", ["/v1/runs:batch", "/v1/shadows:report"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_a_batch_of_ten_thousand_and_of_one_more(served: Served, path: str, kind: str) -> None:
    def sent(count: int) -> Any:
        raw = b"7\n" * count if "nd" in kind else json.dumps({"runs": [7] * count}).encode()
        return served.api.call("POST", path, raw=raw, headers={"Content-Type": kind})

    taken = sent(10_000)
    assert (taken.status, len(taken.body["results"])) == (200, 10_000)
    refused = sent(10_001)
    assert (refused.status, refused.body["field"]) == (422, "runs")
    assert refused.body["detail"] == "runs: has over 10000 items; send at most 10000 at once"

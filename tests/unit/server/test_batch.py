"""The items of a batch, and one answer for each."""

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest

from learnops.ports.access import Need, Verb
from learnops.server.answers import BundleAnswer
from learnops.server.batch import Item, answer_of, items_of
from learnops.server.beside import LARGE_BYTES, Beside, BesideLimits
from learnops.server.limits import BODY_BYTES
from learnops.server.models import MAX_BATCH, Bundle, RunAnswer
from learnops.server.permits import Permits
from learnops.server.problems import Problem

NDJSON = "application/x-ndjson; charset=utf-8"
HEAD = {"namespace": "agents", "doer": "planner", "policy": "planner-v1"}


class Takes:
    """Accepts all; notes how many came at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def take(self, bundles: Sequence[Bundle]) -> Sequence[BundleAnswer]:
        self.sizes.append(len(bundles))
        return [
            RunAnswer(
                run_id=bundle.run_id,
                status="accepted",
                loss=0.0,
                terms={},
                weights={},
                contributions={},
                partial=False,
                missing=[],
            )
            for bundle in bundles
        ]


async def everything(_need: Need) -> None:
    """Every right is there."""


async def results(items: deque[Item], takes: Takes | None = None) -> list[dict[str, Any]]:
    permits = Permits(Verb.INGEST, refusal=everything)
    turns = Beside().of("agents")
    told = await answer_of(items, ingest=takes or Takes(), permits=permits, turns=turns)
    answer = json.loads(told)
    each: list[dict[str, Any]] = answer["results"]
    return each


def lines(count: int) -> bytes:
    return b"\n".join(json.dumps({**HEAD, "runId": f"r{n}"}).encode() for n in range(count))


async def test_a_large_batch_is_taken_in_slices_and_answered_in_order() -> None:
    takes = Takes()
    told = await results(await items_of(lines(600), kind=NDJSON), takes)
    assert [each["runId"] for each in told] == [f"r{n}" for n in range(600)]
    assert takes.sizes == [250, 250, 100]


async def test_an_empty_batch_has_no_results() -> None:
    assert await results(await items_of(b"\n \n", kind=NDJSON)) == []


async def test_each_item_is_judged_alone_whatever_it_is() -> None:
    body = b'{"runs": [{"\\ud800": 1}, 7, ' + lines(1) + b"]}"
    told = await results(await items_of(body, kind="application/json"))
    assert [each["status"] for each in told] == ["invalid", "invalid", "accepted"]
    assert told[0]["problem"]["status"] == 422


def padded(run_id: str, *, size: int) -> bytes:
    """A bundle of so many bytes."""
    bundle: dict[str, Any] = {**HEAD, "runId": run_id, "artifacts": [{"a": ""}]}
    left = size - len(json.dumps(bundle, separators=(",", ":")))
    more, first = divmod(left, 60_009)
    bundle["artifacts"] = [{"a": "x" * first}, *[{"a": "x" * 60_000}] * more]
    made = json.dumps(bundle, separators=(",", ":")).encode()
    assert len(made) == size
    return made


@pytest.mark.parametrize("kind", [NDJSON, "application/json"], ids=["lines", "array"])
async def test_a_bundle_of_a_batch_is_no_longer_than_one_alone(kind: str) -> None:
    bundles = [
        padded("full", size=BODY_BYTES),
        padded("large", size=BODY_BYTES + 1),
        padded("small", size=500),
    ]
    body = b"\n".join(bundles) if kind == NDJSON else b"[" + b",".join(bundles) + b"]"
    told = await results(await items_of(body, kind=kind))
    assert [each["status"] for each in told] == ["accepted", "invalid", "accepted"]
    assert (told[1]["runId"], told[1]["problem"]["status"]) == (None, 413)
    assert told[1]["problem"]["detail"] == "the bundle is over 1048576 bytes; send less in it"


MANY = {f"X{number:06d}": 1 for number in range(70_000)}
NO_GATES = [{f"X{number}": 1 for number in range(10)}] * 256


@pytest.mark.parametrize(
    ("wrong", "field", "entries", "errors"),
    [
        (MANY, "body", 70_004, 70_000),
        ({"signals": MANY}, "signals", 70_000, 70_000),
        ({"budget": MANY}, "budget", 70_000, 70_000),
        ({"gates": NO_GATES}, "gates", 256, 3_072),
    ],
)
async def test_thousands_of_errors_are_told_in_one(
    wrong: Any, field: str, entries: int, errors: int
) -> None:
    bundle = json.dumps({**HEAD, "runId": "r", **wrong}, separators=(",", ":")).encode()
    (told,) = await results(await items_of(bundle, kind=NDJSON))
    assert (told["runId"], told["problem"]["field"]) == ("r", field)
    detail = f"has {entries} entries; {errors} errors in all are too many to tell each"
    assert told["problem"]["detail"] == f"{field}: {detail}"


async def test_a_few_unknown_fields_are_named() -> None:
    bundle = json.dumps({**HEAD, "runId": "r", "x": 1, "y": 2}).encode()
    (told,) = await results(await items_of(bundle, kind=NDJSON))
    detail = "x: is no known field; remove it or correct its name (and 1 more)"
    assert told["problem"]["detail"] == detail


@pytest.mark.parametrize("kind", [NDJSON, "application/json"], ids=["lines", "array"])
async def test_others_have_their_turn_between_long_bundles(kind: str) -> None:
    bundles = [padded(f"r{number}", size=BODY_BYTES) for number in range(15)]
    body = b"\n".join(bundles) if kind == NDJSON else b"[" + b",".join(bundles) + b"]"
    items, takes, turns = await items_of(body, kind=kind), Takes(), 0
    answering = asyncio.create_task(results(items, takes))
    while not answering.done():
        turns += 1
        await asyncio.sleep(0)
    assert [each["status"] for each in await answering] == ["accepted"] * 15
    assert takes.sizes == [1] * 15  # none is held for company
    assert turns > 15


@pytest.mark.parametrize(
    "kind", ["Application/X-NDJSON", "application/x-ndjson ;charset=utf-8", "APPLICATION/X-NDJSON"]
)
async def test_a_media_type_is_one_whatever_its_case(kind: str) -> None:
    assert len(await items_of(lines(2), kind=kind)) == 2


@pytest.mark.parametrize("unit", [b"{},", b"[],", b"[{}],", b"{}\n"])
@pytest.mark.parametrize("kind", [NDJSON, "application/json"])
async def test_a_body_of_millions_of_containers_is_refused_unparsed(unit: bytes, kind: str) -> None:
    # No JSON at all, and not found to be none: nothing of it was parsed.
    with pytest.raises(Problem) as refused:
        await items_of(unit * (64 * MAX_BATCH + 1), kind=kind)
    assert refused.value.status == 413
    assert refused.value.detail == "runs: have over 640000 of { and [ in all; send less at once"


async def test_as_many_containers_as_a_body_may_have_are_read() -> None:
    body = b'["' + b"{" * (64 * MAX_BATCH - 1) + b'"]'
    assert len(await items_of(body, kind="application/json")) == 1


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        (b"\n" * (2 * MAX_BATCH + 1), NDJSON, "runs: has over 20000 lines; send at most 10000"),
        (b"{}\n" * (MAX_BATCH + 1), NDJSON, "runs: has over 10000 items; send at most 10000"),
        (b'{"runs": {}}', "application/json", 'runs: is missing; send {"runs": [bundle, ...]}'),
        (b"{", "application/json", "the body is not JSON"),
    ],
)
async def test_what_is_no_batch_is_refused(body: bytes, kind: str, detail: str) -> None:
    with pytest.raises(Problem) as refused:
        await items_of(body, kind=kind)
    assert refused.value.detail.startswith(detail)


async def test_what_there_is_no_turn_for_is_refused_before_anything_is_taken() -> None:
    """Else it would be stored in part, and come again whole."""
    body = b"\n".join([lines(300), padded("large", size=LARGE_BYTES + 1)])
    takes, beside = Takes(), Beside(BesideLimits(requests=1))
    permits = Permits(Verb.INGEST, refusal=everything)
    items, turns = await items_of(body, kind=NDJSON), beside.of("agents")
    with turns.entered(large=True), pytest.raises(Problem) as refused:
        await answer_of(items, ingest=takes, permits=permits, turns=turns)
    assert (refused.value.status, takes.sizes) == (429, [])
    await answer_of(items, ingest=takes, permits=permits, turns=turns)
    assert takes.sizes == [250, 51]

"""A batch in JSON is cut into its items, whatever they are; others have their turn."""

import asyncio
import json

import pytest

from learnops.domain.bundle_limits import BODY_BYTES
from learnops.server.problems import Problem
from learnops.server.splitting import split

LONG = b'{"a": "' + b"x" * BODY_BYTES + b'", "b": [1, {"\\"]": "}"}]}'
CROWD = b"{" + b",".join(b'"%07x":1' % number for number in range(1_250_000)) + b"}"


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b"[]", []),
        (b' [ 1 , "a]" ,\n{"b": [2]},null, -1.5e3 ]\t', [1, "a]", {"b": [2]}, None, -1500.0]),
        (b'{"runs": []}', []),
        (b'{"more": {"runs": [1]}, "runs": [true], "less": 0}', [True]),
        (b'{"runs": [1], "runs": [2, 3]}', [2, 3]),
        (b'{"\\u0072uns": ["\xc3\xa9\xf0\x9f\x98\x80"]}', ["\u00e9\U0001f600"]),
        (b"[" + b"9" * 5000 + b", NaN]", None),
    ],
)
async def test_items_are_told_as_they_came(body: bytes, items: list[object] | None) -> None:
    found = await split(body)
    assert found is not None
    assert all(found)
    if items is None:
        assert found == [b"9" * 5000, b"NaN"]
    else:
        assert [json.loads(item or b"") for item in found] == items


@pytest.mark.parametrize(
    "body", [b"{}", b"7", b'"[]"', b'{"runs": {}}', b'{"runs": [], "runs": 1}']
)
async def test_there_may_be_no_list_of_runs(body: bytes) -> None:
    assert await split(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[",
        b"[1",
        b"[1,]",
        b"[1 2]",
        b"[}",
        b'{"runs"}',
        b'{"runs": [1}',
        b"{1: 2}",
        b"[] x",
        b'["',
        b'{"runs": [1],}',
        b"\xff\xfe[",
        b"[" * 100_000,
        b'["\x01"]',
        b"[01]",
    ],
)
async def test_what_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(
        Problem, match=r"^the body is not JSON: .+ is expected at byte \d+$"
    ) as told:
        await split(body)
    assert told.value.status == 400


async def test_what_breaks_off_far_behind_is_refused_too() -> None:
    body = b"[" + b",".join([b'{"a": "' + b"x" * 1000 + b'"}'] * 5000) + b', {"a": ]'
    with pytest.raises(Problem, match=f"a value is expected at byte {body.rindex(b'{')}$"):
        await split(body)


@pytest.mark.parametrize("large", [LONG, CROWD, b'"' + b'\\"' * BODY_BYTES + b'"'])
async def test_of_an_item_that_is_too_long_only_the_end_is_found(large: bytes) -> None:
    neighbour = b'{"n": 1}'
    items = [neighbour] * 3000
    assert await split(b"[" + b",".join([*items, large, *items]) + b"]") == [*items, None, *items]


async def test_items_of_any_length_up_to_the_longest_are_found_wherever_they_begin() -> None:
    lengths = [1, BODY_BYTES, 70_000, BODY_BYTES - 1, 3, BODY_BYTES, BODY_BYTES // 2, BODY_BYTES]
    items = [b"1" * 1 if length < 3 else b'"' + b"y" * (length - 2) + b'"' for length in lengths]
    assert await split(b'{"runs":[' + b",".join(items) + b"]}") == items


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b'{"a":"' + b"x" * 1600 + b'"}'] * 5000) + b"]",
        b"[" + CROWD + b"]",
    ],
    ids=["many", "one"],
)
async def test_others_have_their_turn_in_between(body: bytes) -> None:
    turns = 0
    splitting = asyncio.create_task(split(body))
    while not splitting.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 50

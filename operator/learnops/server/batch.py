"""A batch of bundles: each judged alone, all written together."""

import asyncio
import json
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol

from pydantic import ValidationError
from pydantic_core import from_json

from learnops.domain.bundle_limits import BODY_BYTES
from learnops.server.answers import BundleAnswer
from learnops.server.beside import LARGE_BYTES, Turns
from learnops.server.media import NDJSON, media_type
from learnops.server.models import MAX_BATCH, Bundle, LargeBundle
from learnops.server.permits import Permits
from learnops.server.problems import Problem, from_validation
from learnops.server.splitting import split, too_many

Item = bytes | Problem
_Checked = tuple[Any, Bundle | Problem]  # beside the run id that was given

# Read, validated and answered in slices, so that other requests are answered in between.
_SLICE: Final = 250
_SLICE_BYTES: Final = BODY_BYTES
_TURN_BYTES: Final = 64 * 1024
_STATUS: Final = {HTTPStatus.CONFLICT: "conflict", HTTPStatus.FORBIDDEN: "forbidden"}
_MOST_LINES: Final = 2 * MAX_BATCH
# Objects and arrays. One takes 70 bytes of memory and more, and 3 of a body: 5 million of them fit
# into 16 MiB. So many for each of 10,000 bundles, with one field each, were measured as 73 MiB.
_MOST_CONTAINERS: Final = 64 * MAX_BATCH


class Takes(Protocol):
    """What bundles are handed to."""

    async def take(self, bundles: Sequence[Bundle]) -> Sequence[BundleAnswer]:
        """One answer per bundle, in order."""


async def items_of(body: bytes, *, kind: str) -> deque[Item]:
    """The items of a batch, none of them parsed yet. Raises Problem (400, 413, 422).

    Args:
        body: `{"runs": [...]}`, the array alone, or NDJSON.
        kind: its media type.
    """
    _refuse_crowded(body)
    if media_type(kind) == NDJSON:
        # Counted first: a body of line ends alone would make millions of lines.
        if body.count(b"\n") > _MOST_LINES:
            raise too_many(f"over {_MOST_LINES} lines")
        lines = deque(_bounded(line) for line in body.split(b"\n") if line.strip())
        if len(lines) > MAX_BATCH:
            raise too_many(f"over {MAX_BATCH} items")
        return lines
    items = await split(body.removeprefix(BOM_UTF8))
    if items is None:
        detail = 'runs: is missing; send {"runs": [bundle, ...]}'
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="runs")
    return deque(_too_long() if item is None else item for item in items)


async def answer_of(items: deque[Item], *, ingest: Takes, permits: Permits, turns: Turns) -> bytes:
    """`{"results": [...]}` as JSON, one result per item, in order; `items` are used up, and large
    ones are read when it is the turn of whoever sent them.

    Raises DatabaseUnavailableError and Problem (429, 503, 422 for too many rights to ask for): then
    some may be stored, and sending all again is safe. Raises Forbidden: nothing was stored.
    """
    parts = []
    with turns.entered(large=any(map(_is_large, items))):
        while items:
            checked = await _next(items, turns=turns)
            parts.append(b",".join(await _answers(checked, ingest=ingest, permits=permits)))
            await asyncio.sleep(0)
    permits.conclude()
    return b'{"results":[' + b",".join(parts) + b"]}"


async def _next(items: deque[Item], *, turns: Turns) -> list[_Checked]:
    """A slice of what is left, out of `items`. Never is much more parsed than one long bundle."""
    checked: list[_Checked] = []
    size = unshared = 0
    while items and len(checked) < _SLICE and size < _SLICE_BYTES:
        item = items.popleft()
        if isinstance(item, bytes):
            size += len(item)
            unshared += len(item)
        if _is_large(item):
            checked.append(await turns.run(partial(_check, item, LargeBundle)))
        else:
            checked.append(_check(item, Bundle))
        if unshared > _TURN_BYTES:
            unshared = 0
            await asyncio.sleep(0)
    return checked


async def _answers(
    checked: Sequence[_Checked], *, ingest: Takes, permits: Permits
) -> Iterator[bytes]:
    await permits.settle([found for _, found in checked if isinstance(found, Bundle)])
    allowed = [
        (run_id, (permits.problem(found) or found) if isinstance(found, Bundle) else found)
        for run_id, found in checked
    ]
    bundles = [found for _, found in allowed if isinstance(found, Bundle)]
    answers = iter(await ingest.take(bundles))
    return (
        _result(run_id, answer=next(answers) if isinstance(found, Bundle) else found)
        for run_id, found in allowed
    )


def _is_large(item: Item) -> bool:
    return isinstance(item, bytes) and len(item) > LARGE_BYTES


def _check(item: Item, kind: type[Bundle]) -> _Checked:
    """What is in it, and the run that it names."""
    if isinstance(item, Problem):
        return None, item
    try:
        given = _parse(item)
    except (ValueError, RecursionError) as error:
        return None, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the item is not JSON: {error}")
    run_id = given.get("runId") if isinstance(given, dict) else None
    try:
        return run_id, kind.model_validate(given)
    except ValidationError as error:
        return run_id, from_validation(error.errors(include_url=False))


def _result(run_id: Any, *, answer: BundleAnswer) -> bytes:
    if not isinstance(answer, Problem):
        return answer.model_dump_json(by_alias=True).encode()
    told = {
        "runId": run_id if isinstance(run_id, str) and _is_text(run_id) else None,
        "status": _STATUS.get(answer.status, "invalid"),
        "problem": answer.body(),
    }
    # Escaped: what is wrong may be told with text that is not valid Unicode.
    return json.dumps(told).encode()


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= part <= "\udfff" for part in value)


def _bounded(line: bytes) -> Item:
    return _too_long() if len(line) > BODY_BYTES else line


def _parse(item: bytes) -> Any:
    """Raises ValueError and RecursionError."""
    try:
        return from_json(item)
    except ValueError:
        # Lenient about lone surrogates: the bundle that has one is told where.
        return json.loads(item)


def _refuse_crowded(body: bytes) -> None:
    """Raises Problem 413. Counted, not parsed, so those in text count too."""
    if body.count(b"{") + body.count(b"[") > _MOST_CONTAINERS:
        detail = f"runs: have over {_MOST_CONTAINERS} of {{ and [ in all; send less at once"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, field="runs")


def _too_long() -> Problem:
    detail = f"the bundle is over {BODY_BYTES} bytes; send less in it"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
